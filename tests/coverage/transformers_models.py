"""Architectures of transformers: the real classes, shrunk by their configs, with random weights."""

import inspect

import torch
import transformers
from transformers.utils import logging

from example import Example

logging.set_verbosity_error()

VOCABULARY = 99

# A config takes what of this it knows.
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "d_model": 32,
    "d_ff": 48,
    "d_kv": 8,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "n_layers": 2,
    "n_heads": 4,
    "dim": 32,
    "hidden_dim": 48,
    "emb_dim": 32,
    "embedding_size": 16,
    "rotary_dim": 4,
    "ffn_dim": 48,
    "max_position": 64,
    "num_local_experts": 4,
    "num_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 24,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "image_size": 32,
    "patch_size": 8,
    "num_labels": 3,
    "use_cache": False,  # a cache is no tensor
}


def small_config(config_class, changes):
    """The config class with what it knows of SMALL, no dropout, and the changes."""
    known = inspect.signature(config_class).parameters
    options = {key: value for key, value in SMALL.items() if key in known}
    options |= {
        key: type(parameter.default)(0)
        for key, parameter in known.items()
        if "drop" in key and type(parameter.default) in (int, float)
    }
    options["num_labels"] = 3
    return config_class(**{**options, **changes})


def _model(
    class_name, make_inputs, dynamic=None, not_adapted="$^", loses_backward=False, **changes
):
    """A change may be a function, called when the model is built."""

    def build():
        model_class = getattr(transformers, class_name)
        changed = {key: v() if callable(v) else v for key, v in changes.items()}
        model = model_class(small_config(model_class.config_class, changed))
        return Example(
            model,
            lambda batch, length: ((), make_inputs(batch, length)),
            dynamic=dynamic,
            not_adapted=not_adapted,
            loses_backward=loses_backward,
        )

    return build


def ids(batch, length):
    return torch.randint(3, VOCABULARY, (batch, length))


def tokens(batch, length):
    mask = torch.ones(batch, length, dtype=torch.int64)
    mask[1, length - 2 :] = 0
    return {"input_ids": ids(batch, length), "attention_mask": mask}


def only_ids(batch, length):
    return {"input_ids": ids(batch, length)}


def both_tokens(batch, length):
    return {**tokens(batch, length), "decoder_input_ids": ids(batch, 7)}


def boxed_tokens(batch, length):
    return {**tokens(batch, length), "bbox": torch.randint(0, 50, (batch, length, 4)).sort().values}


def pixels(batch, length):
    return {"pixel_values": torch.randn(batch, 3, 32, 32)}


def large_pixels(batch, length):
    return {"pixel_values": torch.randn(batch, 3, 64, 64)}


def wave(batch, length):
    return {"input_values": torch.randn(batch, 200 * length)}


def _text(class_name, make_inputs=tokens, **changes):
    return _model(class_name, make_inputs, **changes)


def _image(class_name, make_inputs=pixels, **changes):
    return _model(class_name, make_inputs, dynamic=(0,), **changes)


SPEECH = {
    "conv_dim": (16, 16, 16),
    "conv_stride": (5, 2, 2),
    "conv_kernel": (10, 3, 2),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "num_feat_extract_layers": 3,
    "classifier_proj_size": 16,
    "apply_spec_augment": False,
}


def _speech(class_name, **changes):
    return _model(class_name, wave, **{**SPEECH, **changes})


# PEFT refuses these of Mamba; of a layer that it wrapped it hides `stride`, which some models ask for.
MAMBA = r"out_proj|conv1d"
ASKED = r"conv"
# PEFT makes its own factors of the layer's class too, and these standardise them: no LoRA.
STANDARDISED = r"conv"
# A module list of experts that PEFT turns into target_parameters by itself.
EXPERTS = r"shared_expert|mlp\.(gate_proj|up_proj|down_proj)"

DECODERS = {
    "llama": _text("LlamaForCausalLM"),
    "mistral": _text("MistralForCausalLM", sliding_window=6),
    "mixtral": _text("MixtralForCausalLM"),
    "qwen2": _text("Qwen2ForCausalLM"),
    "qwen3": _text("Qwen3ForCausalLM"),
    "qwen2_moe": _text("Qwen2MoeForCausalLM"),
    "qwen3_moe": _text("Qwen3MoeForCausalLM"),
    "gemma": _text("GemmaForCausalLM"),
    "gemma2": _text("Gemma2ForCausalLM", sliding_window=6),
    "gemma3": _text("Gemma3ForCausalLM", sliding_window=6),
    "phi": _text("PhiForCausalLM"),
    "phi3": _text("Phi3ForCausalLM"),
    "stablelm": _text("StableLmForCausalLM"),
    "starcoder2": _text("Starcoder2ForCausalLM"),
    "falcon": _text("FalconForCausalLM"),
    "bloom": _text("BloomForCausalLM"),
    "mpt": _text("MptForCausalLM"),
    "opt": _text("OPTForCausalLM", word_embed_proj_dim=16),
    "gpt2": _text("GPT2LMHeadModel"),
    "gpt_neo": _text("GPTNeoForCausalLM", attention_types=[[["global", "local"], 1]], window_size=6),
    "gpt_neox": _text("GPTNeoXForCausalLM"),
    "gptj": _text("GPTJForCausalLM"),
    "codegen": _text("CodeGenForCausalLM"),
    "olmo2": _text("Olmo2ForCausalLM"),
    "olmoe": _text("OlmoeForCausalLM"),
    "cohere": _text("CohereForCausalLM"),
    "cohere2": _text("Cohere2ForCausalLM", sliding_window=6),
    "granite": _text("GraniteForCausalLM"),
    "granitemoe": _text("GraniteMoeForCausalLM"),
    "nemotron": _text("NemotronForCausalLM"),
    "persimmon": _text("PersimmonForCausalLM"),
    "glm": _text("GlmForCausalLM"),
    "glm4": _text("Glm4ForCausalLM"),
    "helium": _text("HeliumForCausalLM"),
    "smollm3": _text("SmolLM3ForCausalLM"),
    "ernie4_5": _text("Ernie4_5ForCausalLM"),
    "exaone4": _text("Exaone4ForCausalLM"),
    "deepseek_v2": _text(
        "DeepseekV2ForCausalLM",
        not_adapted=EXPERTS,
        q_lora_rank=16,
        kv_lora_rank=16,
        qk_rope_head_dim=4,
        qk_nope_head_dim=4,
        v_head_dim=8,
        n_group=2,
        topk_group=1,
        num_key_value_heads=4,
        first_k_dense_replace=1,
    ),
    "deepseek_v3": _text(
        "DeepseekV3ForCausalLM",
        not_adapted=EXPERTS,
        q_lora_rank=16,
        kv_lora_rank=16,
        qk_rope_head_dim=4,
        qk_nope_head_dim=4,
        v_head_dim=8,
        n_group=2,
        topk_group=1,
        num_key_value_heads=4,
        first_k_dense_replace=1,
    ),
    "gpt_oss": _text("GptOssForCausalLM", sliding_window=6),
    "jamba": _text("JambaForCausalLM", only_ids, mamba_d_state=4, use_mamba_kernels=False, num_hidden_layers=4, attn_layer_offset=1, attn_layer_period=2),
    "mamba": _text("MambaForCausalLM", only_ids, not_adapted=MAMBA, state_size=4),
    "mamba2": _text("Mamba2ForCausalLM", only_ids, not_adapted=MAMBA, state_size=4, num_heads=8, head_dim=8, n_groups=2, chunk_size=4),
    "falcon_mamba": _text("FalconMambaForCausalLM", only_ids, not_adapted=MAMBA, state_size=4),
    "recurrent_gemma": _text("RecurrentGemmaForCausalLM", num_hidden_layers=3, lru_width=32, attention_window_size=6),
    "rwkv": _text("RwkvForCausalLM", only_ids, attention_hidden_size=32, rescale_every=0),
    "xglm": _text("XGLMForCausalLM"),
    "biogpt": _text("BioGptForCausalLM"),
    "ctrl": _text("CTRLLMHeadModel"),
    "openai_gpt": _text("OpenAIGPTLMHeadModel"),
    "xlnet": _text("XLNetLMHeadModel"),
    "lfm2": _text("Lfm2ForCausalLM", layer_types=["conv", "full_attention"]),
    "bitnet": _text("BitNetForCausalLM"),
    "minimax": _text("MiniMaxForCausalLM"),
    "dots1": _text("Dots1ForCausalLM", n_group=2, topk_group=1, n_shared_experts=1, not_adapted=EXPERTS),
    "seed_oss": _text("SeedOssForCausalLM"),
    "apertus": _text("ApertusForCausalLM"),
    "doge": _text("DogeForCausalLM"),
    "diffllama": _text("DiffLlamaForCausalLM"),
    "llama4_text": _text("Llama4ForCausalLM", not_adapted="router"),  # a linear layer that gives two results
    "qwen3_next": _text("Qwen3NextForCausalLM", not_adapted=EXPERTS, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=8, layer_types=["linear_attention", "full_attention"]),
}

ENCODERS = {
    "bert": _text("BertForSequenceClassification"),
    "roberta": _text("RobertaForSequenceClassification"),
    "distilbert": _text("DistilBertForSequenceClassification"),
    "albert": _text("AlbertForSequenceClassification"),
    "electra": _text("ElectraForSequenceClassification"),
    "deberta": _text("DebertaForSequenceClassification", relative_attention=True, pos_att_type=["c2p", "p2c"]),
    "deberta_v2": _text("DebertaV2ForSequenceClassification", relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=8),
    "mpnet": _text("MPNetForSequenceClassification"),
    "xlm": _text("XLMForSequenceClassification"),
    "roformer": _text("RoFormerForSequenceClassification"),
    "squeezebert": _text("SqueezeBertForSequenceClassification", embedding_size=32),
    "mobilebert": _text("MobileBertForSequenceClassification", intra_bottleneck_size=16, true_hidden_size=16),
    "convbert": _text("ConvBertForSequenceClassification"),
    "nystromformer": _text("NystromformerForSequenceClassification", num_landmarks=4, segment_means_seq_len=4),
    "yoso": _text("YosoForSequenceClassification", loses_backward=True),
    "fnet": _text("FNetForSequenceClassification", only_ids),
    "funnel": _text("FunnelForSequenceClassification", block_sizes=[1, 1], d_head=8, n_head=4, d_inner=48),
    "modernbert": _text("ModernBertForSequenceClassification", local_attention=6),
    "rembert": _text("RemBertForSequenceClassification", input_embedding_size=16),
    "layoutlm": _text("LayoutLMForSequenceClassification", boxed_tokens),
    "lilt": _text("LiltForSequenceClassification", boxed_tokens),
    "canine": _text("CanineForSequenceClassification"),
    "ibert": _text("IBertForSequenceClassification"),
    "luke": _text("LukeForSequenceClassification", entity_vocab_size=20, entity_emb_size=16),
    "splinter": _text("SplinterModel"),
    "longformer": _text("LongformerForSequenceClassification", attention_window=4),
    "big_bird": _text("BigBirdForSequenceClassification", attention_type="original_full"),
    "esm": _text("EsmForSequenceClassification", position_embedding_type="rotary"),
    "eurobert": _text("EuroBertForSequenceClassification"),
    "nomic_bert": _text("NomicBertForSequenceClassification"),
    "tapas": _text("TapasForSequenceClassification"),
    "bros": _text("BrosModel", boxed_tokens),
    "markuplm": _text("MarkupLMForSequenceClassification"),
}

ENCODER_DECODERS = {
    "t5": _text("T5ForConditionalGeneration", both_tokens),
    "umt5": _text("UMT5ForConditionalGeneration", both_tokens),
    "bart": _text("BartForConditionalGeneration", both_tokens),
    "mbart": _text("MBartForConditionalGeneration", both_tokens),
    "pegasus": _text("PegasusForConditionalGeneration", both_tokens),
    "marian": _text("MarianMTModel", both_tokens, decoder_vocab_size=VOCABULARY),
    "blenderbot": _text("BlenderbotForConditionalGeneration", both_tokens),
    "m2m_100": _text("M2M100ForConditionalGeneration", both_tokens),
    "fsmt": _text("FSMTForConditionalGeneration", both_tokens, src_vocab_size=VOCABULARY, tgt_vocab_size=VOCABULARY, langs=["en", "de"]),
    "led": _text("LEDForConditionalGeneration", both_tokens, attention_window=4, max_encoder_position_embeddings=64, max_decoder_position_embeddings=64),
    "prophetnet": _text("ProphetNetForConditionalGeneration", both_tokens, num_encoder_layers=2, num_encoder_attention_heads=4, num_decoder_attention_heads=4),
    "switch_transformers": _text("SwitchTransformersForConditionalGeneration", both_tokens, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1),
    "longt5": _text("LongT5ForConditionalGeneration", both_tokens, local_radius=4),
    "nllb_moe": _text("NllbMoeForConditionalGeneration", both_tokens, encoder_sparse_step=2, decoder_sparse_step=2),
}

VISION = {
    "vit": _image("ViTForImageClassification"),
    "deit": _image("DeiTForImageClassification"),
    "beit": _image("BeitForImageClassification", use_relative_position_bias=True),
    "swin": _image("SwinForImageClassification", embed_dim=16, depths=[1, 1], num_heads=[2, 4], window_size=2, patch_size=4),
    "swinv2": _image("Swinv2ForImageClassification", embed_dim=16, depths=[1, 1], num_heads=[2, 4], window_size=2, patch_size=4),
    "convnext": _image("ConvNextForImageClassification", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], patch_size=4),
    "convnextv2": _image("ConvNextV2ForImageClassification", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], patch_size=4),
    "dinov2": _image("Dinov2ForImageClassification"),
    "dinov2_with_registers": _image("Dinov2WithRegistersForImageClassification"),
    "dinov3_vit": _image("DINOv3ViTModel"),
    "resnet": _image("ResNetForImageClassification", large_pixels, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="basic"),
    "regnet": _image("RegNetForImageClassification", large_pixels, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], groups_width=4),
    "mobilenet_v1": _image("MobileNetV1ForImageClassification", not_adapted=ASKED, depth_multiplier=0.25),
    "mobilenet_v2": _image("MobileNetV2ForImageClassification", not_adapted=ASKED, depth_multiplier=0.25),
    "mobilevit": _image("MobileViTForImageClassification", large_pixels, hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 32, 48], patch_size=2, image_size=64),
    "mobilevitv2": _image("MobileViTV2ForImageClassification", large_pixels, width_multiplier=0.25, patch_size=2, image_size=64),
    "efficientnet": _image("EfficientNetForImageClassification", width_coefficient=0.25, depth_coefficient=0.2, hidden_dim=320),
    "poolformer": _image("PoolFormerForImageClassification", large_pixels, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], patch_size=16),
    "pvt": _image("PvtForImageClassification", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4], num_hidden_layers=[1, 1, 1, 1], patch_sizes=[4, 2, 2, 2]),
    "pvt_v2": _image("PvtV2ForImageClassification", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4], patch_sizes=[7, 3, 3, 3]),
    "segformer": _image("SegformerForSemanticSegmentation", large_pixels, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4], patch_sizes=[7, 3, 3, 3], decoder_hidden_size=16),
    "focalnet": _image("FocalNetForImageClassification", embed_dim=16, depths=[1, 1], hidden_sizes=[16, 32], focal_levels=[2, 2], focal_windows=[3, 3], patch_size=4),
    "hiera": _image("HieraForImageClassification", embed_dim=8, depths=[1, 1], num_heads=[1, 2], num_layers=2, image_size=[32, 32], patch_stride=[4, 4], patch_size=[7, 7], patch_padding=[3, 3], query_stride=[2, 2], num_query_pool=1, masked_unit_size=[4, 4]),
    "vit_msn": _image("ViTMSNForImageClassification"),
    "bit": _image("BitForImageClassification", not_adapted=STANDARDISED, embedding_size=8, hidden_sizes=[32, 64], depths=[1, 1], num_groups=4),
    "ijepa": _image("IJepaForImageClassification"),
    "siglip": _image("SiglipVisionModel"),
    "clip_vision": _image("CLIPVisionModelWithProjection"),
    "swiftformer": _image("SwiftFormerForImageClassification", large_pixels, image_size=64, embed_dims=[16, 16, 24, 32], depths=[1, 1, 1, 1]),
    "textnet": _image("TextNetForImageClassification", large_pixels),
    "yolos": _image("YolosForObjectDetection", image_size=[32, 32], num_detection_tokens=4),
    "glpn": _image("GLPNForDepthEstimation", large_pixels, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4], decoder_hidden_size=16),
    "dpt": _image("DPTForDepthEstimation", image_size=32, backbone_out_indices=[0, 1, 1, 1], neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=16, reassemble_factors=[4, 2, 1, 0.5]),
}

AUDIO = {
    "wav2vec2": _speech("Wav2Vec2ForSequenceClassification"),
    "hubert": _speech("HubertForSequenceClassification"),
    "wavlm": _speech("WavLMForSequenceClassification"),
    "unispeech_sat": _speech("UniSpeechSatForSequenceClassification"),
    "sew": _speech("SEWForSequenceClassification", squeeze_factor=2),
    "data2vec_audio": _speech("Data2VecAudioForSequenceClassification", conv_pos_kernel_size=3),
    "wav2vec2_conformer": _speech("Wav2Vec2ConformerForSequenceClassification"),
    "wav2vec2_ctc": _speech("Wav2Vec2ForCTC"),
    "whisper": _model("WhisperForConditionalGeneration", lambda b, n: {"input_features": torch.randn(b, 16, 40), "decoder_input_ids": ids(b, n)}, num_mel_bins=16, max_source_positions=20, not_adapted=ASKED, max_target_positions=64),
    "whisper_audio": _model("WhisperForAudioClassification", lambda b, n: {"input_features": torch.randn(b, 16, 40)}, num_mel_bins=16, max_source_positions=20, not_adapted=ASKED, dynamic=(0,), classifier_proj_size=16),
    "speech_to_text": _model("Speech2TextForConditionalGeneration", lambda b, n: {"input_features": torch.randn(b, 40, 16), "decoder_input_ids": ids(b, n)}, input_feat_per_channel=16, conv_channels=32, max_source_positions=64, max_target_positions=64),
    "ast": _model("ASTForAudioClassification", lambda b, n: {"input_values": torch.randn(b, 32, 16)}, dynamic=(0,), max_length=32, num_mel_bins=16, patch_size=4),
    "wav2vec2_bert": _model("Wav2Vec2BertForSequenceClassification", lambda b, n: {"input_features": torch.randn(b, 2 * n, 16)}, feature_projection_input_dim=16, conv_depthwise_kernel_size=3, classifier_proj_size=16, apply_spec_augment=False),
    "encodec": _model("EncodecModel", lambda b, n: {"input_values": torch.randn(b, 1, 640)}, dynamic=(0,)),
    "moonshine": _model("MoonshineForConditionalGeneration", lambda b, n: {"input_values": torch.randn(b, 2000), "decoder_input_ids": ids(b, n)}, encoder_num_hidden_layers=2, decoder_num_hidden_layers=2, encoder_num_attention_heads=4, decoder_num_attention_heads=4, encoder_num_key_value_heads=4, decoder_num_key_value_heads=4),
}


def _with_towers(class_name, make_inputs, **changes):
    text = {k: v for k, v in SMALL.items() if k not in ("image_size", "patch_size", "num_labels")}
    vision = {k: v for k, v in SMALL.items() if k not in ("vocab_size", "num_labels")}
    return _model(class_name, make_inputs, text_config=text, vision_config=vision, projection_dim=16, **changes)


MIXED = {
    "clip": _with_towers("CLIPModel", lambda b, n: {**tokens(b, n), **pixels(b, n)}),
    "siglip_both": _with_towers("SiglipModel", lambda b, n: {"input_ids": ids(b, n), **pixels(b, n)}),
    "blip": _with_towers("BlipForImageTextRetrieval", lambda b, n: {**tokens(b, n), **pixels(b, n)}),
    "vilt": _model("ViltForQuestionAnswering", lambda b, n: {**tokens(b, n), **pixels(b, n), "pixel_mask": torch.ones(b, 32, 32, dtype=torch.int64)}),
    "lxmert": _model("LxmertModel", lambda b, n: {**tokens(b, n), "visual_feats": torch.randn(b, 4, 16), "visual_pos": torch.rand(b, 4, 4)}, visual_feat_dim=16, l_layers=1, x_layers=1, r_layers=1),
    "visual_bert": _model("VisualBertForVisualReasoning", lambda b, n: {**tokens(b, n), "visual_embeds": torch.randn(b, 4, 16)}, visual_embedding_dim=16),
    "patchtst": _model("PatchTSTForPrediction", lambda b, n: {"past_values": torch.randn(b, 16, 3)}, num_input_channels=3, context_length=16, patch_length=4, patch_stride=4, prediction_length=4, dynamic=(0,)),
    "patchtsmixer": _model("PatchTSMixerForPrediction", lambda b, n: {"past_values": torch.randn(b, 16, 3)}, num_input_channels=3, context_length=16, patch_length=4, patch_stride=4, prediction_length=4, dynamic=(0,)),
    "timesformer": _model("TimesformerForVideoClassification", lambda b, n: {"pixel_values": torch.randn(b, 2, 3, 32, 32)}, num_frames=2, dynamic=(0,)),
    "videomae": _model("VideoMAEForVideoClassification", lambda b, n: {"pixel_values": torch.randn(b, 4, 3, 32, 32)}, num_frames=4, dynamic=(0,)),
    "perceiver": _model("PerceiverForSequenceClassification", lambda b, n: {"inputs": ids(b, n)}, num_latents=4, d_latents=32, num_blocks=1, num_self_attends_per_block=2, num_self_attention_heads=4, num_cross_attention_heads=4),
    "decision_transformer": _model("DecisionTransformerModel", lambda b, n: {"states": torch.randn(b, n, 5), "actions": torch.randn(b, n, 2), "rewards": torch.randn(b, n, 1), "returns_to_go": torch.randn(b, n, 1), "timesteps": torch.arange(n).expand(b, n).contiguous(), "attention_mask": torch.ones(b, n, dtype=torch.int64)}, state_dim=5, act_dim=2),
    "detr": _image("DetrForObjectDetection", large_pixels, num_queries=4, use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=lambda: transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"])),
}

MODELS = {**DECODERS, **ENCODERS, **ENCODER_DECODERS, **VISION, **AUDIO, **MIXED}
