"""`generate` in programs: what it takes, what is asked of an answer and when, and where it is refused."""

from __future__ import annotations

import pytest

import tensorlogic
from tensorlogic.compiler import driver
from tensorlogic.runtime.script import run
from tests.models import SMOLLM2, model_path

HEAD = "let model = load_model(args[0])\n"


def ran(text: str) -> None:
    options = driver.Options(verify=True, files=False)
    run(driver.compile_text(HEAD + text, options=options).python, "program.tl", [str(model_path(SMOLLM2))])


def test_a_script_prints_pieces(capsys: pytest.CaptureFixture[str]) -> None:
    ran(
        """
    let answer = generate(model, model.tokenizer.apply_chat_template([("user", "Say hello.")]), max_tokens: 3)
    let before = (answer.finish, len(answer.ids))
    let count = 0
    for piece in answer { count += 1; print(piece, end: "|") }
    print("", before, answer.finish, len(answer.ids), count, answer.seconds > 0.0, answer.tokens_per_second > 0.0)
    """
    )
    pieces, _, rest = capsys.readouterr().out.rpartition("|")
    assert pieces.count("|") == 2
    assert rest == " (none, 0) length 3 3 true true\n"


def test_settings_are_handed_on(capsys: pytest.CaptureFixture[str]) -> None:
    ran(
        """
    fn short(n: int) -> int { return n + 1 }
    for i in 0..2 {
        for piece in generate(model, "Once", max_tokens: short(i), temperature: 1, seed: 3, stop: ["z"], bits: 8) {
            print(piece, end: "")
        }
        print()
    }
    """
    )
    one, two = capsys.readouterr().out.splitlines()
    assert two.startswith(one)
    assert len(one) < len(two)


@pytest.mark.parametrize(
    ("setting", "fast", "handed"),
    [
        ("", False, ""),
        ("", True, ", fast=True"),
        (", fast: true", False, ", fast=True"),
        (", fast: false", True, ", fast=False"),
    ],
)
def test_fast_programs_generate_fast(setting: str, fast: bool, handed: str) -> None:
    """Unless they say otherwise."""
    options = driver.Options(verify=True, files=False, fast=fast)
    text = f'{HEAD}let answer = generate(model, "Once"{setting})\nprint(answer.ids)'
    assert f'tl.generate(model, "Once"{handed})' in driver.compile_text(text, options=options).python


def test_an_answer_that_nobody_prints_is_gone_through(capsys: pytest.CaptureFixture[str]) -> None:
    ran('let answer = generate(model, "Once", max_tokens: 2)\nfor _ in answer { }\nprint(len(answer.ids))')
    assert capsys.readouterr().out == "2\n"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ('fn f(m: Model) -> int { generate(m, "a"); return 1 }', "TL1015", "`generate` is for scripts"),
        ("generate(model)", "TL2004", "`generate` needs `prompt`"),
        ('generate(model, "a", 3)', "TL2004", "`generate` takes a model and a prompt, and all else by name"),
        ('generate(model, "a", heat: 3)', "TL1012", "`generate` takes model, prompt, max_tokens, temperature"),
        ('generate("model.gguf", "a")', "TL2001", "`model` of `generate` is `Model`, not `string`"),
        ("generate(model, [1.5])", "TL2001", "`prompt` of `generate` is `int`, not `float`"),
        ('generate(model, "a", max_tokens: 1.5)', "TL2001", "`max_tokens` of `generate` is `int`, not `float`"),
        ('print(generate(model, "a").text)', "TL1011", "`Generation` has no `text`"),
        ("KVCache(3)", "TL2004", "`KVCache` takes `capacity`, `window` and `bits` by name"),
        ("KVCache(size: 3)", "TL1012", "`KVCache` takes capacity, window, bits"),
        ("KVCache(bits: 1.5)", "TL2001", "`bits` of `KVCache` is `int`, not `float`"),
        ("for t in model.tokenizer { }", "TL2001", "`Tokenizer` is not a list"),
        ('let (a, b) = generate(model, "a")', "TL2001", "this is `Generation`"),
    ],
)
def test_what_is_refused(text: str, code: str, message: str) -> None:
    wrong = tensorlogic.check(HEAD + text)
    assert [d.code for d in wrong] == [code]
    assert message in wrong[0].message


def test_each_new_cache_is_another(capsys: pytest.CaptureFixture[str]) -> None:
    ran(
        """
    fn fill(cache: KVCache, n: int) -> KVCache {
        let k = ones([1, 1, 2, 32])
        let (ks, vs, next) = cache.update(0, k, k)
        return next
    }
    fn new(n: int) -> KVCache { return KVCache(capacity: n) }
    let a = KVCache()
    let b = KVCache()
    let c = fill(a, 1)
    print(c.length(), b.length(), new(3).length(), fill(fill(new(4), 1), 1).length())
    """
    )
    assert capsys.readouterr().out == "2 0 0 4\n"


def test_a_name_that_is_nearly_right_is_offered() -> None:
    (wrong,) = tensorlogic.check(HEAD + 'generate(model, "a", max_token: 3)')
    assert wrong.helps == ("did you mean `max_tokens`?",)


def test_a_standalone_module_does_not_generate() -> None:
    text = 'for piece in generate(load_model(args[0]), "a") { }'
    with pytest.raises(tensorlogic.CompileError, match="TL2021"):
        driver.compile_text(text, options=driver.Options(standalone=True))
