"""What kind of work a request is, by the words of its last turn in nine languages. 05 §3.2.

Lists of words, not a model: it costs microseconds and says nothing it cannot show.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal, TypeAlias

from omniroute.chat import ChatRequest, Text

Intent: TypeAlias = Literal["code", "reasoning", "simple", "medium"]

TASKS: Mapping[Intent, str] = {"code": "coding", "reasoning": "analysis"}
"""The row of the fitness table an intent is judged by; the others use `default`."""

_LONGEST_READ = 4_000

CODE = (
    # programming words that every language borrows
    "code|function|class|method|bug|debug|compile|compiler|refactor|regex|sql|python|javascript"
    "|typescript|java|golang|rust|kotlin|swift|html|css|api|endpoint|stack trace|traceback"
    "|exception|unit test|pull request|git|docker|kubernetes|script|algorithm|syntax|implement"
    # Spanish, Portuguese, French, German, Italian
    "|código|función|depurar|compilar|função|depurar|algoritmo|fonction|déboguer|algorithme"
    "|funktion|fehler im code|kompilieren|programmieren|quellcode|codice|funzione|programmare"
    # Russian, Chinese, Japanese
    "|код|функци[яию]|отлад|программ|代码|函数|编程|调试|算法|コード|関数|プログラム|デバッグ"
)
REASONING = (
    "analy[sz]e|analysis|compare|evaluate|explain why|prove|proof|reason|trade-?offs?"
    "|step by step|derive|deduce|hypothesis|strategy|investigate|root cause|implications"
    "|pros and cons"
    "|analiza|analizar|comparar|demuestra|razona|paso a paso|analise|analisar|raciocin"
    "|passo a passo"
    "|analyser|comparer|démontre|raisonne|étape par étape|analysiere|vergleiche|beweise|begründe"
    "|schritt für schritt|analizza|confronta|dimostra|ragiona|проанализируй|сравни|докажи|обоснуй"
    "|分析|比较|证明|推理|解释为什么|比較|証明|推論|説明して"
)
SIMPLE = (
    "what is|who is|when was|where is|define|translate|hello|hi|hey|thanks|thank you|yes|no"
    "|hola|gracias|qué es|traduce|olá|obrigad[oa]|o que é|traduza|bonjour|merci|qu'est-ce que"
    "|traduis|hallo|danke|was ist|übersetze|ciao|grazie|cos'è|traduci|привет|спасибо|что такое"
    "|переведи|你好|谢谢|什么是|翻译|こんにちは|ありがとう|とは|翻訳"
)
CODE_MARKS = re.compile(
    r"```|^\s*(?:def|class|import|#include|func|fn|SELECT)\b|[{};]\s*$", re.MULTILINE
)


def intent_of(
    request: ChatRequest, simple_max_words: int, extra: Mapping[Intent, Sequence[str]] | None = None
) -> Intent:
    """The kind of work: code before reasoning before simple, otherwise medium.

    Args:
        simple_max_words: from this length on nothing counts as simple.
        extra: further words of an operator, by what they mean.
    """
    text, more = last_turn(request), extra or {}
    if CODE_MARKS.search(text) or _says(text, CODE, more.get("code", ())):
        return "code"
    if _says(text, REASONING, more.get("reasoning", ())):
        return "reasoning"
    if len(text.split()) < simple_max_words and _says(text, SIMPLE, more.get("simple", ())):
        return "simple"
    return "medium"


def _says(text: str, words: str, more: Sequence[str]) -> bool:
    if _spoken(words).search(text):
        return True
    return bool(more) and bool(_spoken("|".join(map(re.escape, more))).search(text))


def last_turn(request: ChatRequest) -> str:
    """The end of what the user said last, as much of it as is looked at."""
    for message in reversed(request.messages):
        if message.role == "user":
            texts = [part.text for part in message.parts if isinstance(part, Text)]
            return "\n".join(texts)[-_LONGEST_READ:]
    return ""


@cache
def _spoken(words: str) -> re.Pattern[str]:
    # Chinese and Japanese put no spaces between words, so their words match anywhere.
    apart = [word for word in words.split("|") if not _unspaced(word)]
    joined = [word for word in words.split("|") if _unspaced(word)]
    found = [*([rf"(?<!\w)(?:{'|'.join(apart)})"] if apart else []), *joined]
    return re.compile("|".join(found), re.IGNORECASE)


def _unspaced(word: str) -> bool:
    return any("\u3040" <= char <= "\u9fff" for char in word)
