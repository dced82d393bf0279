"""The sentences the words parser was developed on, each with the slots a reader of English would give it.

DEVELOPMENT was written before the parser. The three checks were each written after the parser had been improved on all
before them. On first sight it read 49, 47 and 54 of their 60 sentences as labelled; of the other 30 it refused 16 and
misread 11, and three labels were changed (a slip, and two sentences that can be read both ways). It was improved on
them afterwards.

Notation: E extent, H halo, M margin, S spiculation, Z size; + is +1, - is -1, a number is itself; `slice` is the
per-slice flag; `refuse` means UnsupportedRequest.
"""

import pytest

from MultiRaterSegLib.errors import UnsupportedRequest
from MultiRaterSegLib.text.slots import Slots
from MultiRaterSegLib.text.words import WordsEncoder

LETTERS = {"E": "extent", "H": "halo", "M": "margin", "S": "spiculation", "Z": "size"}

DEVELOPMENT = """
conservative segmentation | E-
conservative mask | E-
conservative radiologist | E-
Conservative | E-
a conservative reader | E-
Segment conservatively. | E-
draw a tight contour | E-
tight outline around the nodule | E-
minimal outline | E-
minimal segmentation, please | E-
the smallest outline that makes sense | E-
keep the contour as small as possible | E-
restrict the outline | E-
restrict the contour to the nodule | E-
hug the lesion | E-
the contour should hug the nodule closely | E-
shrink the contour | E-
shrink it | E-
core only | E- H-
only the core | E- H-
just the dense centre | E- H-
solid part only | E- H-
segment only the solid component | E- H-
solid core | E- H-
I want you to outline the solid core of the nodule and nothing else | E- H-
snug contour | E-
narrow outline | E-
lean segmentation | E-
undercontour the lesion | E-
under-segmentation | E-
I would rather under-segment than over-segment | E-
follow the inner border | E-
inner contour | E-
stay well inside the lesion | E-
stay within the solid part | E- H-
nothing beyond the core | E- H-
do not go beyond the solid component | E- H-
nothing outside the nodule | E-
small nodule only | E- Z-
nodule only | E-
only what is definitely nodule | E-
include only what is clearly tumour | E-
leave out doubtful areas | E-
when in doubt, leave it out | E-
if unsure exclude | E-
cautious outline | E-
restrictive | E-
strict reading | E-
do not include normal lung | E-
avoid over-segmentation | E-
do not overcontour | E-
don't be generous | E-
not inclusive | E-
less inclusive | E-
less generous outline | E-
smaller | E-
tighter please | E-
make the outline tighter | E-
reduce the segmentation | E-
contract the outline | E-
better too small than too large | E-
cover less | E-
as tight as possible | E-
very conservative | E-
maximally conservative | E-
extremely tight contour | E-
tight rather than generous | E-
exclude everything except the core | E- H-
slightly conservative | E-.33
fairly conservative | E-.33
a bit tighter | E-.33
somewhat smaller outline | E-.33
a little less generous | E-.33
not too generous | E-.33
shrink the outline slightly | E-.33
a moderately conservative reader | E-.33
inclusive segmentation | E+
inclusive mask | E+
Inclusive radiologist | E+
generous outline | E+
liberal contour | E+
wide outline | E+
err on the side of more | E+
err on the side of inclusion | E+
overcontour | E+
overcontour the lesion | E+
over-segmentation | E+
everything | E+
include everything | E+
whole lesion | E+
segment the entire lesion | E+
the full extent of the lesion | E+
outer border | E+
follow the outer boundary | E+
the largest plausible outline | E+
largest contour | E+
maximal extent | E+
expand the contour | E+
enlarge the mask | E+
be generous | E+
draw generously | E+
as large as possible | E+
as inclusive as possible | E+
include as much as possible | E+
broad outline | E+
include doubtful regions | E+
when in doubt, include | E+
if uncertain, include it | E+
more inclusive | E+
more generous contour | E+
bigger | E+
larger outline | E+
do not be conservative | E+
not conservative | E+
not tight | E+
less conservative | E+
less tight | E+
never undersegment | E+
avoid undersegmentation | E+
do not shrink the outline | E+
do not miss anything | E+
better too large than too small | E+
don't restrict it to the nodule | E+
go beyond the visible edge | E+
grow the contour | E+
slightly generous | E+.33
fairly inclusive | E+.33
a bit larger | E+.33
somewhat more liberal | E+.33
not too conservative | E+.33
not too tight | E+.33
expand a little | E+.33
slightly less tight | E+.33
neither tight nor generous | E0
average outline | E0
midway between conservative and inclusive | E0
include the ground-glass halo | H+
include the halo | H+
include the ground glass | H+
include GGO | H+
keep the hazy part | H+
cover the faint rim | H+
capture the fuzzy border | H+
take in the surrounding haze | H+
add the halo | H+
with halo | H+
with the ground-glass component | H+
extend to the edge of the ground glass | H+
extend into the halo | H+
halo included | H+
the halo should be included | H+
the halo is part of the lesion | H+
the haze belongs to the nodule | H+
include subtle regions | H+
include the subsolid component | H+
include the cloudy periphery | H+
include the penumbra | H+
include low-density areas around the nodule | H+
do not leave out the halo | H+
don't leave the halo out | H+
do not exclude the ground glass | H+
never skip the halo | H+
don't ignore the fuzzy edges | H+
not without the halo | H+
treat ground-glass as lesion | H+
more halo | H+
include more of the halo | H+
both the solid and the ground-glass parts | H+
solid core plus halo | H+
as much of the halo as possible | H+
include some of the halo | H+.33
include a bit of the halo | H+.33
slightly into the halo | H+.33
exclude the halo | H-
exclude the ground-glass halo | H-
do not include the ground-glass halo | H-
don't include the hazy rim | H-
without halo | H-
no halo | H-
no ground glass | H-
leave out the halo | H-
leave the halo out | H-
omit the ground-glass opacity | H-
drop the fringe | H-
ignore the haze | H-
cut the hazy rim | H-
skip faint areas | H-
avoid the halo | H-
trim the halo | H-
stop short of the halo | H-
stop before the halo begins | H-
shave off the fuzzy rim | H-
free of halo | H-
halo-free | H-
halo excluded | H-
the halo should not be included | H-
the halo must be left out | H-
the halo is not part of the lesion | H-
the ground glass does not belong to the nodule | H-
keep the halo out | H-
less halo | H-
as little halo as possible | H-
do not extend into the halo | H-
never include the penumbra | H-
stay out of the ground glass | H-
no blurry edges | H-
tight margins | M-
tight margin | M-
generous margins | M+
generous margin | M+
wide margins | M+
narrow margins | M-
no margin | M-
without margin | M-
with a safety margin | M+
add a margin | M+
leave a generous margin | M+
keep the margins tight | M-
margins should be generous | M+
larger margin | M+
smaller margin | M-
reduce the margin | M-
slightly wider margins | M+.33
less margin | M-
not too generous margins | M-.33
follow the spiculations | S+
include spiculation | S+
include the spicules | S+
include the spikes | S+
trace every spike | S+
include fine strands | S+
include the tendrils | S+
include the corona radiata | S+
irregular border | S+
follow the irregular edges | S+
jagged contour | S+
ragged outline | S+
lobulated contour | S+
include finger-like projections | S+
follow every notch | S+
trace all the details of the edge | S+
do not smooth the border | S+
not smooth | S+
do not simplify the contour | S+
without smoothing | S+
marked spiculation | S+
slightly irregular | S+.33
spiky rather than smooth | S+
don't cut the spicules | S+
smooth contour | S-
smooth | S-
smooth and round outline | S-
rounded shape | S-
a regular outline | S-
simplified contour | S-
clean edges | S-
even border | S-
smooth the outline | S-
round off the corners | S-
ignore the spicules | S-
leave out spiculation | S-
no spiculation | S-
no spikes | S-
without the strands | S-
do not follow the irregular border | S-
don't trace every notch | S-
cut off the tendrils | S-
skip the finger-like projections | S-
smooth instead of jagged | S-
less irregular | S-
a bit smoother | S-.33
small nodule | Z-
large nodule | Z+
a big mass | Z+
tiny lesion | Z-
large lesion | Z+
conservative on each slice | E- slice
smallest outline on each slice | E- slice
largest outline on every slice | E+ slice
slice by slice, the second smallest outline | E-.33 slice
the second largest contour per slice | E+.33 slice
A1 | E- slice
annotator A4 | E+ slice
include the halo but not the spicules | H+ S-
include the spicules but not the halo | H- S+
exclude the halo but not the spicules | H- S+
tight, but include the halo | E- H+
conservative, excluding the halo | E- H-
generous outline, excluding the halo | E+ H-
everything but the halo | E+ H-
everything except the halo | E+ H-
whole lesion including the halo | E+ H+
whole lesion, including halo and spicules | E+ H+ S+
exclude the halo and the spicules | H- S-
do not include the halo or the spicules | H- S-
no halo, no spikes | H- S-
no halo and smooth edges | H- S-
tight margins, solid core only | E- H- M-
smooth and tight | E- S-
smooth, generous outline with the halo | E+ H+ S-
exclude the halo and follow the spiculations | H- S+
halo in, spicules out | H+ S-
tight outline with the halo excluded | E- H-
conservative except for the halo | E- H+
follow the spikes, ignore the ground glass | H- S+
the halo and the strands are excluded | H- S-
slightly generous, no halo | E+.33 H-
include halo, smooth border | H+ S-
not only the core but also the halo | E+ H+
exclude the vessel | refuse
exclude the adjacent vessel | refuse
include the halo but exclude vessels | refuse
tight, without the pleura | refuse
stop at the chest wall | refuse
segment the liver | refuse
generous outline of the liver | refuse
12 mm | refuse
add 3 mm margin | refuse
a margin of five millimetres | refuse
hello | refuse
please segment this nodule | refuse
what is the volume of the lesion? | refuse
is it malignant? | refuse
rater 2 | refuse
exclude the calcification | refuse
include the lymph node | refuse
tight and generous | refuse
on each slice | refuse
extend it to the left | refuse
exclude the foobar | refuse
exclude the solid core | refuse
leave the halo | refuse
asdf qwer | refuse
exclude the halo and the bronchus | refuse
"""

FIRST_CHECK = """
I'd go a touch more generous here | E+.33
we usually contour these rather conservatively | E-.33
stick to the solid nodule and leave the frosted-glass area alone | E- H-
the resident drew it too wide, please trim it | E-
I would include the ground-glass component for radiotherapy planning | H+
please don't cut into the ground glass | H+
GTV should encompass the whole visible abnormality | E+
contour just the dense portion on every slice | E- H- slice
the hazy surrounding should stay outside the contour | H-
make sure all the little spikes are captured | S+
no need to follow each spicule | S-
round everything off, I only need the rough shape | S-
a generous margin is preferred over a tight one | M+
follow the margin of the nodule with all its notches | S+
I want a snug fit without any of the haze | E- H-
tumour bed not included, but halo yes | H+
cover the lesion in full, ground glass as well | E+ H+
include what you can see of the faint opacity | H+
don't bother with the spiculations | S-
the corona radiata must not be lost | S+
take the smallest reading of the four on each image | E- slice
ignore the wispy strands around it | S-
outline it loosely | E+
keep to the bright centre | E- H-
a smoothed version of the largest contour | E+ S-
somewhere between tight and generous | E0
more inclusive than the average reader | E+
less spiky please, and a little tighter | E-.33 S-
draw the inside border of the tumour | E-
draw it on the outside of the border | E+
be strict: solid only | E- H-
bigger margins, smoother edges | M+ S-
very generous, and do include the halo | E+ H+
do not be shy with the ground glass | H+
exclude subtle haze but keep every spike | H- S+
neither halo nor spikes, just the nodule | E- H- S-
the more conservative the better | E-
I prefer a contour that misses nothing | E+
with a bit of ground glass around the core | H+.33
the edges look jagged, please regularise them | S-
an irregular outline with lobulations preserved | S+
subsolid part in, strands out, otherwise tight | E- H+ S-
include the nodule's fuzzy edges but nothing more | H+
liberal contouring, without the penumbra | E+ H-
A slightly larger ROI than the consensus | E+.33
minimise the segmented area | E-
maximise coverage of the lesion | E+
only outline the part of the nodule that is certain | E-
remove vessel from the mask | refuse
extend to the pleural surface | refuse
add 5 mm around the GTV | refuse
what do you think? | refuse
segment the left upper lobe | refuse
please draw a nice contour | refuse
include the cavity wall | refuse
do the same as last time | refuse
tight outline of the aorta | refuse
smooth but jagged | refuse
50% larger | refuse
exclude the emphysema around the halo | refuse
"""

SECOND_CHECK = """
Outline the lesion the way a cautious radiotherapist would, leaving all ground glass outside. | E- H-
The contour should run along the outermost visible limit of the opacity. | E+
Only the consolidated centre belongs in the mask. | E- H-
Please widen the contour so that the surrounding ground glass is covered. | E+ H+
Reduce the contour so that no haze remains inside. | E- H-
I'd leave the spicules out but keep the halo in. | H+ S-
The mask should have no spikes and a round border. | S-
Contour it generously; I don't mind a bit of normal lung. | refuse
Include some normal lung tissue around the nodule. | E+.33
Never include healthy lung. | E-
The fuzzy part is tumour as well. | H+
The fuzzy part is oedema, leave it out. | H-
Follow the true irregular shape instead of a smooth ellipse. | S+
Give me an oval that covers everything. | E+ S-
Be a bit less strict. | E+.33
Be more strict with the ground glass. | H-
Spiculations yes, ground-glass no. | H- S+
Take the union of all readers. | E+
Take the intersection of all readers. | E-
the most restrictive of four experts, each slice on its own | E- slice
I need the minimal tumour volume, i.e. without the perifocal haze. | E- H-
maximal tumour volume incl. perifocal haze | E+ H+
do not extend past the solid margin | E- H-
extend past the solid margin into the haze | E+ H+
Ground glass: exclude. Spiculation: include. | H- S+
with ggo, w/o spiculae | H+ S-
The nodule is part-solid. Segment the solid part only. | E- H-
A wide berth around the lesion. | E+
All the way out to the edge of the halo. | H+
Don't trace every wrinkle of the border. | S-
Do trace every wrinkle of the border. | S+
a hair tighter, otherwise fine | E-.33
same but larger | E+
way more generous | E+
too generous, pull it in | E-
too tight, open it up | E+
halo is missing | H+
there should be halo in the mask | H+
there should be no halo in the mask | H-
there shouldn't be any spikes | S-
not including the halo would be wrong | refuse
it is fine to leave out the halo | H-
it's okay to include ground glass | H+
no margin, no halo, smooth | H- M- S-
tight margin, halo included, spicules followed | H+ M- S+
a generous margin but no haze | H- M+
small lesion with smooth margins, be conservative | E- S- Z-
giant mass, contour all of it | E+ Z+
the nodule abuts the fissure, exclude the fissure | refuse
avoid the rib | refuse
expand 3 pixels | refuse
just do it | refuse
make it pretty | refuse
sharper image please | refuse
increase the contrast | refuse
reduce the noise | refuse
include the ground glass on the left side | refuse
exclude atelectasis, keep halo | refuse
the second nodule only | refuse
contour the oesophagus tightly | refuse
"""

THIRD_CHECK = """
contour must be as close as possible to the dense portion | E- H-
Could the outline take in the misty zone as well? | H+
Trim away all the fuzz. | H-
I want the maximum plausible extent of disease. | E+
I want the minimum plausible extent of disease. | E-
Segmentation by a reader who tends to overcall | E+
Segmentation by a reader who tends to undercall | E-
someone who always draws too large | E+
someone who always draws too small | E-
this radiologist never includes ground glass | H-
this radiologist usually includes the ground glass | H+
this expert smooths the contour | S-
an expert who follows each spicule | S+
an annotator with generous margins | M+
a rater who leaves no margin | M-
a rater who keeps the halo out of the mask | H-
he traces spiky extensions faithfully | S+
she ignores small spiculations | S-
prefers smooth, round outlines | S-
draws around everything suspicious | E+
draws just inside the visible border | E-
draws just outside the visible border | E+
Solid portion plus a thin rim of ground glass | H+
Solid portion minus the ground glass | E- H-
core + halo + spikes | H+ S+
core - halo | refuse
whole thing, smooth | E+ S-
whole thing but no spikes | E+ S-
biggest reasonable outline, halo in | E+ H+
smallest reasonable outline, halo out | E- H-
medium generous | E0
quite tight, quite smooth | E-.33 S-.33
not as generous as usual | E-
not as tight as the last one | E+
a good deal tighter | E-
considerably more inclusive | E+
only marginally larger | E+.33
tighten the margins a little | M-.33
open the margins | M+
widen the margin | M+
shave the margin | M-
the margin can be generous | M+
no need for a margin | M-
no safety margin, please, hug the nodule | E- M-
ragged edges must be respected | S+
ragged edges need not be respected | S-
straighten the ragged edges | S-
keep edges crisp and smooth | S-
spare me the spikes | S-
I like the spikes | S+
per slice, outline as inclusive as possible | E+ slice
every slice on its own: smallest mask | E- slice
slice-wise second largest | E+.33 slice
slicewise: exclude halo | H- slice
clip the part touching the pleura | refuse
mark the bronchi | refuse
paint it blue | refuse
use a brush of 4 mm | refuse
contour lesion number two | refuse
include hilar nodes | refuse
"""


def parse_line(line: str) -> tuple[str, Slots | None]:
    """'text | E- H+.33 slice' -> (text, Slots); 'text | refuse' -> (text, None)."""
    text, expected = (part.strip() for part in line.rsplit("|", 1))
    if expected == "refuse":
        return text, None
    values: dict[str, float | bool] = {}
    for word in expected.split():
        if word == "slice":
            values["per_slice"] = True
        else:
            number = {"+": 1.0, "-": -1.0}.get(word[1:])
            values[LETTERS[word[0]]] = float(word[1:].replace(".33", f"{1 / 3}"[1:])) if number is None else number
    return text, Slots(**values)


def cases(table: str) -> list[tuple[str, Slots | None]]:
    return [parse_line(line) for line in table.splitlines() if line.strip()]


def check(text: str, expected: Slots | None) -> None:
    encoder = WordsEncoder()
    if expected is None:
        with pytest.raises(UnsupportedRequest):
            encoder.understand(text)
    else:
        assert encoder.understand(text).slots == expected


@pytest.mark.parametrize(("text", "expected"), cases(DEVELOPMENT))
def test_development_sentence_is_understood(text, expected):
    check(text, expected)


@pytest.mark.parametrize(("text", "expected"), cases(FIRST_CHECK + SECOND_CHECK + THIRD_CHECK))
def test_sentence_of_a_later_check_is_understood(text, expected):
    check(text, expected)
