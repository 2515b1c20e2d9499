"""Known short forms and variants of first names.

Belongs here: the table and its lookup. Does not belong here: any other comparison of names.

A short form may stand for several names (Alex for Alexander and for Alexandra), and that does not make those one name:
two words are forms of one name when they have a full name in common. Only forms in common use are listed; a short form
that is not here makes two records a pair for review, a wrong one could merge two people.
"""

from __future__ import annotations

from typing import Final

from referral_pipeline.identity.folding import folded_words

# full name: its short forms and variants
_TABLE: Final = """
abigail: abby abbie gail
adelheid: heidi
agnieszka: aga
aleksandr: alex alexander alexandr sasha sascha sacha aleksander aleksandar
alexander: alex alec alexandr aleksander aleksandar alejandro alessandro alexandre sascha sasha sacha sandy xander lex
alexandra: alex lexi sandra sascha sasha sacha aleksandra alejandra alessandra sandy
alfred: alf fred
amanda: mandy
andreas: andi andy andrew
andrew: andy drew andrei andrey andre andres
angela: angie angelika
anna: ann anne annie anni anja anya ania
anneliese: anne liese
anthony: tony antonio anton toni
antonia: toni
antonio: tony toni anton
barbara: barb babs barbie basia
benjamin: ben benny benji
bernard: bernie bernd bernhard
bernhard: bernd bernie
bogdan: bodo
bradley: brad
caroline: carol carrie carolin carolina lina
carolina: caro lina
catherine: cathy cath cate kate katie kathy cat katherine kathryn katharine caterina catalina
charles: charlie chuck chas carl karl carlos
charlotte: charlie lotte lottie
christian: chris christ kris kristian cristian
christina: chris chrissy tina christine kristina cristina christiane
christine: chris chrissy tina christina
christoph: chris christopher kristof
christopher: chris kit topher christoph kristofer
claudia: claudi
constantin: kostas konstantin dino
cornelia: conny nele
cynthia: cindy
daniel: dan danny dani
daniela: dani daniella danielle
david: dave davey davy dawid
deborah: deb debbie debby debra
diana: di diane
dimitri: dima dimitrios dmitri dmitry dmitriy mitja
dominik: dominic nick
donald: don donnie
dorothea: dora doro thea
dorothy: dot dottie dolly
eberhard: ebi
edward: ed eddie eddy ted teddy ned eduard eduardo
edmund: ed eddie ned
ekaterina: katja katya kate katherine yekaterina
eleanor: ellie ella nell nora eleonora
elena: lena helena helen yelena
elisabeth: elizabeth liz lisa lisbeth elsbeth sissi betty else elisa elise elsa lisl liesl
elizabeth: liz lizzie lizzy beth betty betsy bess eliza elisabeth elisa elise elsa lisa libby
emily: em emmy emilia emilie
enrique: kike quique
ernest: ernie ernst
eugene: gene evgeny evgeniy yevgeny zhenya
ferdinand: ferdi fernando
florian: flo
frances: fran franny frankie francesca franziska
francesco: franco francis
francis: frank frankie fran francisco
francisco: paco pancho fran francis
franz: francis frank
franziska: franzi frances
frederick: fred freddie freddy rick fredrik frederik friedrich
friedrich: fritz fred frederick frederic
gabriel: gabe
gabriele: gabi gaby gabriela gabriella gabrielle
gabriela: gabi gaby gabriella gabrielle gabriele
george: georg jorge giorgio georgie
georg: jorg schorsch george
gerald: gerry jerry gerd
gerhard: gerd gert
gertrud: gerti trude trudi gertrude
giovanni: gianni vanni nino
giuseppe: beppe peppe pino
grazyna: grazia
gregory: greg gregor grigory
guillermo: memo william
gunther: gunter
harold: harry hal
heinrich: heinz heiner henry hinrich
helen: nell nellie helena elena helene
henry: harry hank hal henri henrik hendrik
herbert: herb bert
ignacio: nacho
irina: ira irene
isabella: bella izzy isabel isabelle
ivan: vanya john
jacob: jake jakob jacek
jacqueline: jackie jacqui
jakob: jake jacob
james: jim jimmy jamie jem jaime
jan: johannes john janek
janet: jan
janusz: jan
jeffrey: jeff geoff geoffrey jeffery
jennifer: jen jenny jenni jenn
jeremy: jerry jem
jessica: jess jessie
jesus: chuy
joachim: jochen achim joaquin
joanna: jo joan asia johanna
johann: hans jo jan john johannes
johanna: hanna hannah jo joanna
johannes: hans hannes jo jan john johann jannis
john: jack johnny jon jonny johannes johann jan juan ivan
jonathan: jon jonny nathan jonathon
jorge: coque
jose: pepe josep joseph
josef: sepp joseph jupp beppo
joseph: joe joey jo josef jose jozef yosef yusuf
josephine: josie jo josefine
joshua: josh
juan: juanito john
judith: judy jude
julia: jule julie
jurgen: jorg
karl: carl charles
katarzyna: kasia kate
katharina: kathi kati kathrin katrin katja kate katherine catharina rina
katherine: kate katie kathy kat kath kathryn katharine kit kitty katharina catherine katarina katerina
kathleen: kathy kate katie
kenneth: ken kenny
konrad: conrad conny kurt
konstantin: kostja kostya konstantinos kostas constantin
kristina: kris tina christina kristine
krzysztof: krzys chris christopher
laura: laurie
laurence: larry lawrence laurie laurent
lawrence: larry laurie laurence
leonard: leo len lenny leonardo
leopold: leo poldi
lillian: lily lilian
louis: lou louie luis lewis ludwig
louise: lou luise luisa
lucas: luke luca lukas
ludwig: luis lutz louis
lukas: luke luca lucas
lukasz: lukas luke
magdalena: lena magda leni maddalena
manfred: fred manni mani
manuel: manu manny manolo
manuela: manu ela
marcus: marc mark markus marco
margaret: maggie meg peggy marge margie greta rita margarita margarete margarethe
margarete: grete greta gretel margret rita margarethe margaret
maria: mary mia marie mitzi mari masha marija mariya
mark: marc marcus markus marco
markus: mark marc marcus
martin: marty martijn
martina: tina
mary: molly polly maria marie mae
mateusz: matt matthew
mathias: matt matthias hias
matthew: matt matty matteo mateo mathew
matthias: matze matt mathias matthew hias
maximilian: max maxi
maxim: max maksim
megan: meg
melanie: mel melli
melissa: mel missy
mercedes: merche
michael: mike mick micky mickey mikey michi mischa misha mikhail michal michel miguel micha
michaela: michi ela micaela
michelle: shelly
miguel: mike michael
mikhail: misha mischa michael
mohammed: mo mohamed muhammad muhammed mohammad mohamad mehmet
monika: moni monica
natalia: natasha natalya talia natalie nat
nathaniel: nate nat nathan
nicholas: nick nicky nico nicolas nikolas niko klaus nikolaus nikolai nicolai
nicole: nicky nikki nicola
nikolaus: klaus claus niko nico nick nicholas
oliver: ollie olli olivier
olivia: liv livia
pamela: pam
patricia: pat patty trish tricia patti
patrick: pat paddy patricio patryk
paul: pablo paolo pavel pawel pauly
pawel: paul pavel
peter: pete pedro pierre pietro petr pyotr piotr
philip: phil pip philipp phillip philippe felipe
philipp: phil lipp philip
piotr: peter petr pete
rachel: rach rachael rahel
raymond: ray raimund
rebecca: becky becca bec rebekka
reinhard: reini
renate: reni
richard: rick ricky rich dick richie ricardo riccardo
robert: bob bobby rob robbie robby bert roberto
roberto: beto robert
rodney: rod
roland: rolli orlando
ronald: ron ronnie
rosa: rosi rosie rose
roswitha: rosi
rudolf: rudi rolf rudolph
samantha: sam sammy
samuel: sam sammy
sandra: sandy
sarah: sara sally sadie
sebastian: seb basti bastian sebastien bas
sergei: sergey sergiy serge sergio seryozha
siegfried: sigi siggi
sofia: sophia sophie sofie zofia
stanislaw: stan staszek stanislav
stefan: steffen stephan stephen steve steven
stefanie: steffi stephanie
stephanie: steph stephie steffi stefanie stefania
stephen: steve stevie steven stephan stefan esteban
steven: steve stevie stephen
susan: sue susie suzie suzy susanne susanna suzanne
susanne: susi sanne susan susanna suzanne
tatiana: tanja tanya tatjana
terence: terry terrence
theodor: theo ted theodore fedor teddy
theodore: ted teddy theo theodor
theresa: terry tess tessa teresa therese resi
thomas: tom tommy thom tomas tomasz tommaso
timothy: tim timmy timo timotheus
tobias: tobi toby
tomasz: tom tomek thomas
ulrich: uli ulli ulric
ulrike: uli ulli rike
valentin: valentine
valentina: vale tina
veronica: ronnie vera veronika
victor: vic viktor vittorio
victoria: vicky vicki tori viktoria
vincent: vince vinny vincenzo
vladimir: vlad vova volodya volodymyr
walter: walt wally
wilhelm: willi willy will wim william
william: bill billy will willy willie liam guillaume wilhelm guillermo
wojciech: wojtek
wolfgang: wolf wolfi
xavier: javier xavi javi
yevgenia: zhenya eugenia evgenia
zachary: zach zack zac
"""


def _full_names() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in _TABLE.strip().splitlines():
        full, _, forms = line.partition(":")
        full, *others = (folded_words(word)[0] for word in (full, *forms.split()))
        for form in (full, *others):
            found.setdefault(form, {form}).add(full)
    return {form: frozenset(names) for form, names in found.items()}


_FULL_NAMES: Final = _full_names()
_FORMS: Final = {full: tuple(forms.split()) for full, _, forms in (x.partition(":") for x in _TABLE.split("\n") if x)}


def are_forms_of_one_name(a: str, b: str) -> bool:
    """Whether two folded words are short forms or variants of one first name (Bob, Robert)."""
    names = _FULL_NAMES.get(a)
    return names is not None and not names.isdisjoint(_FULL_NAMES.get(b, frozenset()))


def full_names_of(word: str) -> frozenset[str]:
    """The full names that a folded word may stand for, itself among them: two words with one in common are forms."""
    return _FULL_NAMES.get(word, frozenset({word}))


def full_names() -> list[str]:
    """Every full name of the table, folded, in order."""
    return list(_FORMS)


def forms_of(name: str) -> list[str]:
    """The short forms and variants that the table gives for a full name; none for any other word."""
    return list(_FORMS.get(name, ()))
