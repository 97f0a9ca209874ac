"""The language of a text, where a light method can tell: by its script, or by the share of a language's commonest words."""

import re
import unicodedata
from collections import Counter

UNKNOWN = "unknown"
_FEWEST_WORDS = 20
_CODE = re.compile(r"[{}();=<>]|^\s*(?:def|class|import|return)\b", re.MULTILINE)
_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS = {
    "HANGUL": "Korean", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "CJK": "Chinese", "GREEK": "Greek",
    "HEBREW": "Hebrew", "THAI": "Thai", "GEORGIAN": "Georgian", "ARMENIAN": "Armenian", "TAMIL": "Tamil",
    "TELUGU": "Telugu", "BENGALI": "Bengali", "GUJARATI": "Gujarati", "KANNADA": "Kannada", "MALAYALAM": "Malayalam",
    "KHMER": "Khmer", "LAO": "Lao", "MYANMAR": "Burmese", "SINHALA": "Sinhala", "ETHIOPIC": "Amharic",
}  # fmt: skip
_COMMON = {
    "English": "the of and to in a is that it was for on with as he his be at by i this had not are but from or have an they",
    "German": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er dass",
    "French": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se le ce il sont avec son être",
    "Spanish": "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me si sin",
    "Italian": "di e il la che in a per è un del le una dei con non sono si da al come più lo ha anche della alla i gli ma",
    "Portuguese": "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele das à seu sua ou",
    "Dutch": "de het een van en in is dat op te zijn met voor niet die er aan om ook als maar bij dan of door naar was wordt",
    "Swedish": "och i att det som en på är av för med den till inte har de om ett han men var jag sig från vi så kan",
    "Danish": "og i at det er en til af den på for med der de som ikke har han et fra var jeg sig kan vi så blev",
    "Polish": "w i z na się do nie to że jest o od jak po co ale za przez dla są był tym oraz tego czy być",
    "Czech": "a se v na je že s o z do i to k ve pro za by ale si po jako podle od jsem není tak být",
    "Turkish": "ve bir bu da de için ile olarak çok daha olan gibi en sonra kadar ne o var ama göre ise her",
    "Finnish": "ja on ei se että oli hän mutta ovat kun myös niin joka sen tai ole jos vain kuin mukaan",
    "Russian": "и в не на что с я он как это по но из к у за от так же для было вы мы все она то",
    "Ukrainian": "і в не на що з та до як за це у від але для його він або було вони є й про",
    "Arabic": "في من على أن إلى التي عن مع هذا ما هذه لا كان الذي بين كما قد ذلك بعد أو",
    "Hindi": "के में है की से का और को पर यह एक ने कि लिए भी नहीं इस हैं था तो",
}  # fmt: skip
_WORDS = {name: frozenset(words.split()) for name, words in _COMMON.items()}


def language(text: str) -> str:
    """The language of `text`, or `unknown`: too short, a mixture, source code, or a language that is not on the list."""
    letters = [character for character in text[:500] if character.isalpha()]
    if len(letters) < 20:
        return UNKNOWN
    scripts = Counter(unicodedata.name(character, "?").split(" ", 1)[0].split("-", 1)[0] for character in letters)
    script, count = scripts.most_common(1)[0]
    if scripts["HIRAGANA"] + scripts["KATAKANA"] > 0.1 * len(letters):
        return "Japanese"
    if script in _SCRIPTS and count > 0.6 * len(letters):
        return _SCRIPTS[script]
    words = [word.lower() for word in _WORD.findall(text)]
    if len(words) < _FEWEST_WORDS or len(_CODE.findall(text)) > len(words) / 8:
        return UNKNOWN
    shares = Counter({name: sum(word in common for word in words) / len(words) for name, common in _WORDS.items()})
    (best, share), (_, second) = shares.most_common(2)
    return best if share > 0.2 and share > 1.4 * second else UNKNOWN


CODES = {
    "English": "en", "German": "de", "French": "fr", "Spanish": "es", "Italian": "it", "Portuguese": "pt", "Dutch": "nl",
    "Swedish": "sv", "Danish": "da", "Polish": "pl", "Czech": "cs", "Turkish": "tr", "Finnish": "fi", "Hungarian": "hu",
    "Romanian": "ro", "Russian": "ru", "Ukrainian": "uk", "Bulgarian": "bg", "Arabic": "ar", "Persian": "fa", "Hindi": "hi",
    "Korean": "ko", "Japanese": "ja", "Chinese": "zh", "Greek": "el", "Hebrew": "he", "Thai": "th", "Georgian": "ka",
    "Armenian": "hy", "Tamil": "ta", "Telugu": "te", "Bengali": "bn", "Gujarati": "gu", "Kannada": "kn", "Malayalam": "ml",
    "Khmer": "km", "Lao": "lo", "Burmese": "my", "Sinhala": "si", "Amharic": "am", "Norwegian": "no", "Indonesian": "id",
    "Vietnamese": "vi",
}  # fmt: skip
"""ISO 639-1, which cards have, by the name that is told."""
