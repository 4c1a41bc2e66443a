"""Pages on model files (TL4)."""

from __future__ import annotations

from tensorlogic.compiler.diagnostics.pages import Page

PAGES = {
    "TL4001": Page(
        "a model file cannot be opened",
        "The file is not there, is a pipe or a device, may not be read, or its disk fails. Relative paths are resolved "
        "from the working directory, not from the folder of the `.tl` file. Check the path and the file's permissions.",
        """\
# model.tl: let m = load_model("missing.safetensors")
tlc run model.tl""",
    ),
    "TL4002": Page(
        "a file is in no known model format",
        "A model is a safetensors or a GGUF file, which its first bytes tell, a folder that holds `model.safetensors` "
        "or `model.safetensors.index.json`, or a Core ML model, which its name tells: `.mlpackage` or `.mlmodel`. "
        "PyTorch's own files are not read, since opening one can run any code; save their tensors with "
        "`safetensors.torch.save_file`.",
        """\
# model.tl: let m = load_model("notes.txt")
tlc run model.tl""",
    ),
    "TL4003": Page(
        "a model file is damaged",
        "The header of the file contradicts itself, its format or the file's size: a count, length or offset points "
        "past the end, two tensors share bytes, a name occurs twice, or a shape does not make the tensor's bytes. Most "
        "often the download was cut short; fetch the file again and compare its checksum.",
        """\
# model.tl: let m = load_model("cut.gguf")
head -c 1000 whole.gguf > cut.gguf
tlc run model.tl""",
    ),
    "TL4004": Page(
        "a part of a model format is not supported",
        "The file may well be sound, but uses something that this version cannot read or write: the message names the "
        "storage type or the feature. A file that holds such tensors still opens, and only their use is an error. Use "
        "another conversion of the model, such as one in Q4_K_M, Q8_0 or F16.",
        """\
# model.tl: let w = load_model("model-Q8_K.gguf").get_tensor("output.weight")
tlc run model.tl""",
    ),
    "TL4005": Page(
        "a model holds no tensor of that name",
        "The message offers the nearest names that are there. `model.tensors` lists all of them, and "
        "`model.has(name)` asks for one.",
        """\
# model.tl: let w = load_model("model.safetensors").get_tensor("layer.0.wieght")
tlc run model.tl""",
    ),
    "TL4006": Page(
        "a value of a model file would become infinite",
        "Weights are float16 unless the program says otherwise, and a finite number of 65520 or more would silently "
        "become `inf` there. The message tells how many such values the tensor has and the largest. Load the model "
        "with `dtype: bfloat16` or `dtype: float32`, whose range is larger.",
        """\
# model.tl: let w = load_model("large.safetensors").get_tensor("w")
tlc run model.tl""",
    ),
    "TL4007": Page(
        "an integer of a model file does not fit",
        "Integers of every size become `int32`, and this tensor holds one outside of -2147483648 to 2147483647. "
        "Store ids and masks in a smaller range, or split the value into two tensors.",
        """\
# model.tl: let ids = load_model("model.safetensors").get_tensor("hashes")
tlc run model.tl""",
    ),
    "TL4008": Page(
        "a model file changed while it was open",
        "The file became shorter after it was opened, so that a tensor's bytes are gone. Tensors are read when they "
        "are first used. To replace a model while programs use it, write the new file beside it and rename it, as "
        "`save_model` does; programs then go on reading the file they opened.",
        """\
# model.tl: let m = load_model("model.gguf")
#           let line = read_line("now cut the file short: ")
#           print(m.get_tensor("w"))
tlc run model.tl""",
    ),
    "TL4009": Page(
        "a quantized tensor has scales that are no numbers",
        "Each block of a quantized tensor has a scale, and in this tensor some are infinite or NaN, so that its "
        "elements mean nothing. The file is damaged, or its conversion went wrong; convert the model again.",
        """\
# model.tl: let w = load_model("broken.gguf").get_tensor("blk.0.attn_q.weight")
tlc run model.tl""",
    ),
    "TL4010": Page(
        "a model's metadata has no such key",
        "The message offers the nearest keys that are there. The keys of a GGUF file begin with its architecture, as "
        "in `llama.block_count`; those of a folder are the ones of its `config.json`, with nested ones joined by dots.",
        """\
# model.tl: print(load_model("model.gguf").int("lama.block_count"))
tlc run model.tl""",
    ),
    "TL4011": Page(
        "a model's metadata has another type",
        "The key is there, but its value is not what the program asks for: `model.int`, `model.strings` and their "
        "kin each read one type. The message shows the value.",
        """\
# model.tl: print(load_model("model.gguf").int("general.name"))
tlc run model.tl""",
    ),
    "TL4012": Page(
        "a model cannot be saved",
        "The target cannot be written, its name does not end in `.safetensors` or `.gguf`, two tensors would have one "
        "name, or a value is of a type that the format does not keep. A file that was there before is left as it was.",
        """\
# model.tl: save_model(load_model("model.gguf"), "no/such/folder/model.safetensors")
tlc run model.tl""",
    ),
    "TL4013": Page(
        "a model cannot be loaded as that type",
        "`dtype:` of `load_model` is `float16`, which it is without one, `bfloat16`, `float32`, or `native`, which "
        "keeps the type of each tensor in the file.",
        """\
python -c "from tensorlogic.runtime.models import load_model; load_model('model.gguf', dtype='float8')\"""",
    ),
    "TL4020": Page(
        "a model does not fit a struct",
        "`bind` fills each field of a struct from the tensor of its key. A table lists every tensor that the model "
        "lacks, with the nearest name that no other field took, and every one of another shape or element type: what "
        "the struct wants, over its dims and with what they are as far as other tensors tell, beside what the file "
        "holds. Items of a list that fail alike are one row (`blk.{0..29}.norm`). Below the table stands which tensors "
        "told the dims that disagree. Compare the keys with `model.tensors`: the strings of the fields, joined with "
        "`.` below `prefix`, must spell them, and a list is counted from 0 without a gap. A field that not every model "
        "has is declared with `?`.",
        """\
# model.tl: struct Net[N] { weight: float16[N] = "wieght" }
#           let net = bind<Net>(load_model("model.safetensors"))
tlc run model.tl""",
    ),
    "TL4021": Page(
        "the model file that is there holds no tensor of that name",
        "A script opens a model by a path that is known while it is checked, and the header of the file at that path "
        "has no such tensor, so that the script must fail when it runs. The help offers the nearest names. Where not "
        "every model has the tensor, ask first: `if model.has(name) { ... }`.",
        """\
# model.tl: let m = load_model("model.safetensors")
#           let w = m.get_tensor("layer.0.wieght")
tlc check model.tl""",
    ),
    "TL4022": Page(
        "the shape in a model file is not what the program demands",
        "The labels and notes show the shape that the file has beside the one that the program declares, or the other "
        "tensor that it must fit. Shapes are in PyTorch's order, `[out, in]` for the weight of a linear layer, "
        "whatever the file's own order. Nothing of the file changes the program's types: what is `?` stays so.",
        """\
# model.tl: let m = load_model("model.safetensors")
#           let w: float16[?, 128] = m.get_tensor("layer.0.weight")
tlc check model.tl""",
    ),
    "TL4023": Page(
        "a tensor in a model file has another element type",
        "Floats of a file are read as float16, or as the `dtype:` of `load_model`, integers as int32. The type that "
        "the program declares must be that one. A tensor without a declared type is taken to hold floats.",
        """\
# model.tl: let m = load_model("model.safetensors")
#           let ids: int32[?] = m.get_tensor("layer.0.weight")
tlc check model.tl""",
    ),
    "TL4024": Page(
        "the metadata of the model file that is there does not have it",
        "The key that the script asks for is not in the file's metadata, or its value is of another kind than "
        "`model.int`, `model.strings` or their kin reads. The help offers the nearest keys; those of "
        "a folder are the ones of its `config.json`, with nested ones joined by dots.",
        """\
# model.tl: print(load_model("model.gguf").int("lama.block_count"))
tlc check model.tl""",
    ),
    "TL4025": Page(
        "the model file that is there does not fit a struct",
        "`bind` must fail with this file. The table has a row for each tensor that is missing or has another shape or "
        "element type: its key, what the struct declares, and what the file has; below it stands what tells a dim to "
        "be another number. Keys are joined with `.` below `prefix`; the items of a list are counted from 0 without a "
        "gap; a field that not every model has is declared with `?`.",
        """\
# model.tl: struct Net[N] { weight: float16[N] = "wieght" }
#           let net = bind<Net>(load_model("model.safetensors"))
tlc check model.tl""",
    ),
    "TL4026": Page(
        "an assertion does not hold for the model file that is there",
        "What an `assert` of the script compares follows from the header of the file, and is false. The notes say what "
        "the file has. Use the model that the program is written for, or let the program take this one.",
        """\
# model.tl: let m = load_model("model.gguf")
#           assert m.int("llama.block_count") == 12, "a model of 12 layers"
tlc check model.tl""",
    ),
    "TL4030": Page(
        "a tensor has no place in a GGUF file",
        "A GGUF file that llama.cpp reads has tensors of at most four dims, each with elements, whose names have at "
        "most 63 bytes, and no unsigned 64-bit integers. `save_model` refuses anything else, and leaves an older file "
        "as it was. Save the model as `.safetensors`, which has none of these limits, or rename the tensor.",
        """\
# model.tl: struct Net { weight: float16[2, 2, 2, 2, 2] }
#           save_model(Net(weight: zeros([2, 2, 2, 2, 2])), "net.gguf")
tlc run model.tl""",
    ),
    "TL4031": Page(
        "weights cannot be packed in this way",
        "`quantize` packs 2, 3, 4, 5, 6 or 8 bits for each item, in groups of 32, 64 or 128 items of a row, which MLX "
        "multiplies by on every device. Fewer bits and larger groups take less memory, and keep less of the weights.",
        """\
fn f(w: float16[8, 64]) -> float16[8, 64] { return quantize(w, bits: 7) }""",
    ),
    "TL4040": Page(
        "no tensor matches a pattern",
        "`tlc inspect --filter PATTERN` compares the pattern with the whole name of each tensor: `*` stands for any "
        "text, `?` for one character, `[ab]` for one of these. `tlc inspect` without it lists all names.",
        """\
tlc inspect model.safetensors --filter attn    # '*attn*' matches names in which it stands""",
    ),
    "TL4045": Page(
        "tensors cannot be joined",
        "`Model.get_joined` puts weights with one left operand below each other, so that one product takes the place "
        "of several. They may differ in the number of their rows alone: not in their other dims, their element type, "
        "or how they are packed. Take those that differ by `get_tensor` instead.",
        """\
python -c "from tensorlogic.runtime.models import load_model; \
load_model('model.gguf').get_joined(['token_embd.weight', 'output_norm.weight'])\"""",
    ),
    "TL4050": Page(
        "a Core ML model runs on macOS only",
        "Core ML is a part of Apple's systems, and `predict` hands the model to it. Elsewhere the model is still read: "
        "`model.inputs` and `model.outputs` say what it takes and gives, and `get_tensor` reads its weights. Write the "
        "program in TensorLogic and `bind` them, or call `predict` on a Mac.",
        """\
# On Linux: python -c "from tensorlogic.runtime.models import load_model; load_model('m.mlpackage').predict(x=[1.0])\"
python -c "from tensorlogic.runtime.models import load_model; print(load_model('m.mlpackage').tensors)\"""",
    ),
    "TL4051": Page(
        "the library for Core ML is not installed",
        "Core ML models are run by the library `coremltools`, which is not among the packages that are always "
        "installed. Install it with the extra `coreml`. Reading inputs, outputs and weights needs no library.",
        """\
pip install 'tensorlogic-mlx[coreml]'
python -c "from tensorlogic.runtime.models import load_model; load_model('m.mlpackage').predict(x=[1.0])\"""",
    ),
    "TL4052": Page(
        "a model cannot predict",
        "`predict` takes one value for each input that is not optional, by its name. The message says which one is "
        "missing or unknown, or what Core ML itself said; the note lists the inputs with the shapes that they may "
        "have. Models that keep a state from one call to the next, and files that hold weights alone, have no "
        "`predict` here.",
        """\
python -c "from tensorlogic.runtime.models import load_model; load_model('m.mlpackage').predict(y=[1.0])\"""",
    ),
    "TL4053": Page(
        "a compiled Core ML model needs macOS",
        "The folder `.mlmodelc` is what macOS makes of a Core ML model to run it. Its weights are in a format that "
        "Apple does not describe. Load the `.mlpackage` or `.mlmodel` that it was made from, which can be read "
        "everywhere.",
        """\
# model.tl: print(load_model("m.mlmodelc").tensors)
tlc run model.tl""",
    ),
    "TL4060": Page(
        "a part of a split model is missing",
        "A GGUF model may be split into parts, `NAME-00001-of-00003.gguf` and so on. Each of them may be opened, and "
        "all of them must lie in one folder under these names. The message spells the one that is missing: fetch it.",
        """\
# model.tl: load_model("model-00001-of-00003.gguf")
tlc run model.tl""",
    ),
    "TL4061": Page(
        "the parts of a split model do not belong together",
        "Each part of a split GGUF model says in its metadata which part it is (`split.no`, counted from 0), how many "
        "there are (`split.count`) and how many tensors they hold together (`split.tensors.count`). The names of the "
        "files must say the same, no tensor may be in two of them, and what several parts say of the model must be "
        "equal. A file was renamed, or is of another model or another version of it: fetch the parts again.",
        """\
# model.tl: load_model("model-00001-of-00003.gguf")
tlc run model.tl""",
    ),
    "TL4065": Page(
        "a file of a model's folder lies elsewhere",
        "A folder's shards and its `config.json`, and the files of an `.mlpackage`, are read only from the folder "
        "itself, so that a folder from somebody else cannot make a program read other files. This one holds a symbolic "
        "link that leads out of it. The links of Hugging Face's cache, from `snapshots/REVISION` into the `blobs` of "
        "the same model, are followed. Open the file by its own path, or copy it into the folder.",
        """\
ln -s /somewhere/else.safetensors folder/model.safetensors
# model.tl: let m = load_model("folder")
tlc run model.tl""",
    ),
    "TL4501": Page(
        "nothing here computes a model of this architecture",
        "`generate` finds the program of a model by the architecture that its file names: `general.architecture` in "
        "GGUF, `model_type` in the `config.json` of Hugging Face's folders. The message lists those that the standard "
        "library has. An encoder such as `bert` is none of them, since it makes vectors. Any other can be "
        "written in the language, with a `load` and a `step` as in `stdlib/models`, and given to `generate` from "
        "Python: `generate(language_model(model, module), ids)`.",
        """\
# model.tl: for piece in generate(load_model("model.gguf"), "Once upon a time") { print(piece, end: "") }
tlc run model.tl""",
    ),
    "TL4401": Page(
        "a library for text is not installed",
        "Texts are split into tokens by the library `tokenizers`, and chat templates are run by `jinja2`. They are not "
        "among the packages that are always installed. Install them with the extra `text`.",
        """\
# model.tl: let t = load_tokenizer("tokenizer.json")
tlc run model.tl""",
    ),
    "TL4402": Page(
        "a file is no tokenizer",
        "There is no file of this name, or it is neither in the format of Hugging Face's `tokenizer.json` nor a GGUF "
        "file with a vocabulary. A folder stands for the `tokenizer.json` in it. Older models have `vocab.txt` or "
        "`tokenizer.model` alone; save the tokenizer again with a recent version of the library that made it.",
        """\
# model.tl: let t = load_tokenizer("vocab.txt")
tlc run model.tl""",
    ),
    "TL4403": Page(
        "a tokenizer cannot encode a text",
        "The text has a character that is not in the tokenizer's vocabulary, and the tokenizer has no token for "
        "unknown ones, nor for the character's bytes. Vocabularies of bytes may lack some too: many have none for rare "
        "control characters. Remove the character, since the model has never seen it.",
        """\
# model.tl: print(load_tokenizer("tokenizer.json").encode("\\u{1F600}"))
tlc run model.tl""",
    ),
    "TL4404": Page(
        "a tokenizer is of a kind that is not known",
        "A GGUF file names the kind of its tokenizer (`tokenizer.ggml.model`) and, for vocabularies of bytes, how "
        "texts are cut into words first (`tokenizer.ggml.pre`). The message lists the kinds that are known. One that "
        "is nearly right would give ids that the model has never seen, and answers that are a little wrong; so it is "
        "refused. Where the model comes with a `tokenizer.json`, `load_tokenizer` reads that file.",
        """\
# model.tl: print(load_tokenizer("model.gguf").encode("Hello"))
tlc run model.tl""",
    ),
    "TL4405": Page(
        "the vocabulary of a model file is damaged",
        "The metadata of a GGUF file hold its tokens, their scores and types, and which pairs of them are joined. Here "
        "they contradict each other: a list has another length than the vocabulary, a token is there twice, a pair "
        "does not join to a token, or a value is of the wrong kind. Fetch the file again, or convert the model again.",
        """\
# model.tl: print(load_model("model.gguf").tokenizer.vocab_size)
tlc run model.tl""",
    ),
    "TL4406": Page(
        "a model has no chat template",
        "How a chat is written for a model stands in its file: under `tokenizer.chat_template` in a GGUF file's "
        "metadata, else in `chat_template.jinja` or `tokenizer_config.json` beside the tokenizer. Models that were not "
        "trained to answer have none: `encode` takes a text for them to continue.",
        """\
# model.tl: print(load_model("base.gguf").tokenizer.apply_chat_template([("user", "Hello")]))
tlc run model.tl""",
    ),
    "TL4407": Page(
        "a chat template failed",
        "A chat template is a small program in a model's file. It is run in a sandbox: it sees the messages and "
        "nothing else, and is ended when it takes too many steps, too long, or builds too much. The message says "
        "whether it is no valid Jinja, refuses these messages in its own words (many want user and assistant to "
        "alternate, or know no system message), or was ended.",
        """\
# model.tl: print(load_model("chat.gguf").tokenizer.chat_text([("system", "Be brief."), ("system", "Be kind.")]))
tlc run model.tl""",
    ),
}
