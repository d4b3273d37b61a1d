"""Names of languages: one spelling for what files and containers write in many ways.

The spelling is the lower-case BCP 47 tag with the two-letter code where ISO 639-1 has one (`eng` -> `en`,
`pt_BR` -> `pt-br`). Table: ISO 639-1 with the terminological and bibliographic codes of ISO 639-2.
"""

from __future__ import annotations

import re

_ISO_639 = """
aa aar|ab abk|ae ave|af afr|ak aka|am amh|an arg|ar ara|as asm|av ava|ay aym|az aze|ba bak|be bel|bg bul|bi bis|bm bam
bn ben|bo bod tib|br bre|bs bos|ca cat|ce che|ch cha|co cos|cr cre|cs ces cze|cu chu|cv chv|cy cym wel|da dan
de deu ger|dv div|dz dzo|ee ewe|el ell gre|en eng|eo epo|es spa|et est|eu eus baq|fa fas per|ff ful|fi fin|fj fij
fo fao|fr fra fre|fy fry|ga gle|gd gla|gl glg|gn grn|gu guj|gv glv|ha hau|he heb iw|hi hin|ho hmo|hr hrv scr|ht hat
hu hun|hy hye arm|hz her|ia ina|id ind in|ie ile|ig ibo|ii iii|ik ipk|io ido|is isl ice|it ita|iu iku|ja jpn jp|jv jav
ka kat geo|kg kon|ki kik|kj kua|kk kaz|kl kal|km khm|kn kan|ko kor|kr kau|ks kas|ku kur|kv kom|kw cor|ky kir|la lat
lb ltz|lg lug|li lim|ln lin|lo lao|lt lit|lu lub|lv lav|mg mlg|mh mah|mi mri mao|mk mkd mac|ml mal|mn mon|mr mar
ms msa may|mt mlt|my mya bur|na nau|nb nob|nd nde|ne nep|ng ndo|nl nld dut|nn nno|no nor|nr nbl|nv nav|ny nya|oc oci
oj oji|om orm|or ori|os oss|pa pan|pi pli|pl pol|ps pus|pt por|qu que|rm roh|rn run|ro ron rum|ru rus|rw kin|sa san
sc srd|sd snd|se sme|sg sag|si sin|sk slk slo|sl slv|sm smo|sn sna|so som|sq sqi alb|sr srp scc|ss ssw|st sot|su sun
sv swe|sw swa|ta tam|te tel|tg tgk|th tha|ti tir|tk tuk|tl tgl|tn tsn|to ton|tr tur|ts tso|tt tat|tw twi|ty tah|ug uig
uk ukr|ur urd|uz uzb|ve ven|vi vie|vo vol|wa wln|wo wol|xh xho|yi yid ji|yo yor|za zha|zh zho chi|zu zul
fil|yue|cmn|ast|haw|gsw|nds|ceb|hmn|tlh
"""
_ENGLISH_NAMES = """
english en|french fr|german de|spanish es|italian it|portuguese pt|dutch nl|japanese ja|chinese zh|korean ko|russian ru
arabic ar|hindi hi|polish pl|swedish sv|norwegian no|danish da|finnish fi|greek el|turkish tr|czech cs|hungarian hu
romanian ro|hebrew he|thai th|vietnamese vi|indonesian id|ukrainian uk|chs zh-hans|cht zh-hant
"""
_UNKNOWN = frozenset({"", "und", "mul", "mis", "zxx", "unk", "none"})
_TAG = re.compile(r"([a-z]{2,12})((?:-[a-z0-9]{1,8}){0,4})")


def _entries(table: str) -> list[list[str]]:
    return [entry.split() for line in table.split("\n") for entry in line.split("|") if entry]


_PRIMARY: dict[str, str] = {code: codes[0] for codes in _entries(_ISO_639) for code in codes}
_PRIMARY |= dict(_entries(_ENGLISH_NAMES))


def normalize_language(tag: str | None) -> str | None:
    """The tag in our one spelling; None for "undetermined" and for what is no language."""
    cleaned = (tag or "").strip().lower().replace("_", "-")
    match = _TAG.fullmatch(cleaned)
    if cleaned in _UNKNOWN or match is None or match[1] not in _PRIMARY:
        return None
    return _PRIMARY[match[1]] + match[2]


def preference_rank(language: str | None, preferred: tuple[str, ...]) -> int:
    """How well a track's language serves: the lower, the better.

    Two ranks per preferred language (the very tag, then another region of it), then tracks without a language,
    then all others.
    """
    found = normalize_language(language)
    if found is None:
        return 2 * len(preferred)
    for index, wanted in enumerate(normalize_language(item) for item in preferred):
        if wanted is not None and wanted.split("-")[0] == found.split("-")[0]:
            return 2 * index + (wanted != found)
    return 2 * len(preferred) + 1
