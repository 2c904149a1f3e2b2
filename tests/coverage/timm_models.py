"""Architectures of timm, small and with random weights."""

import sys
from pathlib import Path

import torch

from example import Example

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "export"))
from timm_without_torchvision import timm  # noqa: E402


# Of a layer that PEFT wrapped it hides `kernel_size`, which some models ask for.
ASKED = r"conv"
# PEFT makes its own factors of the layer's class too, and these standardise them: no LoRA, and not
# possible at all where a filter has one element.
STANDARDISED = r"conv|downsample"


def _model(name, size=64, not_adapted="$^", **options):
    def build():
        return Example(
            timm.create_model(name, pretrained=False, num_classes=10, **options),
            lambda batch, _: ((torch.randn(batch, 3, size, size),), {}),
            not_adapted=not_adapted,
            dynamic=(0,),
        )

    return build


def _made(model_class, size=64, **options):
    """Of what the names' own functions fix already."""

    def build():
        return Example(
            model_class(**options),
            lambda batch, _: ((torch.randn(batch, 3, size, size),), {}),
            dynamic=(0,),
        )

    return build


# Small as they are, or made small by their own arguments. Input 64 x 64 unless said otherwise.
MODELS = {
    "test_resnet": _model("test_resnet"),
    "test_vit": _model("test_vit", size=160),
    "test_vit2": _model("test_vit2"),
    "test_vit_relpos": _model("test_vit_relpos", size=160),
    "test_byobnet": _model("test_byobnet"),
    "test_convnext": _model("test_convnext"),
    "test_convnext2": _model("test_convnext2"),
    "test_efficientnet": _model("test_efficientnet"),
    "test_efficientnet_gn": _model("test_efficientnet_gn"),
    "test_efficientnet_evos": _model("test_efficientnet_evos"),
    "test_nfnet": _model("test_nfnet", not_adapted=STANDARDISED),
    "test_maxvit": _model("test_maxvit", size=160),
    "test_coatnet": _model("test_coatnet", size=160),
    "test_mambaout": _model("test_mambaout"),
    "mobilenetv3_small_050": _model("mobilenetv3_small_050"),
    "mobilenetv4_conv_small_050": _model("mobilenetv4_conv_small_050"),
    "mixer_s32_224": _model("mixer_s32_224", img_size=64),
    "resmlp_12_224": _model("resmlp_12_224", img_size=64),
    "gmlp_ti16_224": _model("gmlp_ti16_224", img_size=64),
    "beit_base_patch16_224": _model("beit_base_patch16_224", img_size=64, embed_dim=32, depth=2, num_heads=2),
    "eva02_tiny_patch14_224": _model("eva02_tiny_patch14_224", size=56, img_size=56, depth=2),
    "cait_xxs24_224": _model("cait_xxs24_224", img_size=64, depth=2),
    "coat_tiny": _model("coat_tiny", img_size=64),
    "convit_tiny": _model("convit_tiny", img_size=64, depth=3, local_up_to_layer=2),
    "convmixer": _made(timm.models.ConvMixer, dim=32, depth=2, num_classes=10),
    "crossvit_tiny_240": _model("crossvit_tiny_240", size=240, depth=((1, 1, 0), (1, 1, 0), (1, 1, 0))),
    "cspresnet50": _model("cspdarknet53"),
    "davit_tiny": _model("davit_tiny", not_adapted=ASKED, depths=(1, 1, 1, 1), embed_dims=(16, 32, 48, 64), num_heads=(1, 2, 3, 4)),
    "deit_tiny_distilled_patch16_224": _model("deit_tiny_distilled_patch16_224", img_size=64, depth=2),
    "densenet121": _model("densenet121", growth_rate=8, block_config=(2, 2, 2, 2)),
    "dla46x_c": _model("dla46x_c"),
    "dpn48b": _model("dpn48b"),
    "edgenext_xx_small": _model("edgenext_xx_small"),
    "efficientformer_l1": _model("efficientformer_l1", size=224),
    "efficientformerv2_s0": _model("efficientformerv2_s0", size=224),
    "efficientvit_b0": _model("efficientvit_b0"),
    "efficientvit_m0": _model("efficientvit_m0", size=224),
    "fasternet_t0": _model("fasternet_t0"),
    "fastvit_t8": _model("fastvit_t8"),
    "focalnet_tiny_srf": _model("focalnet_tiny_srf"),
    "gcvit_xxtiny": _model("gcvit_xxtiny", size=224),
    "ghostnet_050": _model("ghostnet_050"),
    "ghostnetv3_050": _model("ghostnetv3_050"),
    "hgnetv2_b0": _model("hgnetv2_b0"),
    "hiera_tiny_224": _model("hiera_tiny_224", size=224, stages=(1, 1, 1, 1), embed_dim=16, num_heads=1),
    "hrnet_w18_small": _model("hrnet_w18_small"),
    "inception_next_atto": _model("inception_next_atto"),
    "inception_v3": _model("inception_v3", size=96),
    "inception_v4": _model("inception_v4", size=96),
    "levit_128s": _model("levit_128s", size=224),
    "lcnet_035": _model("lcnet_035"),
    "mnasnet_small": _model("mnasnet_small"),
    "poolformer_s12": _model("poolformer_s12"),
    "caformer_s18": _model("caformer_s18"),
    "mobilevit_xxs": _model("mobilevit_xxs"),
    "mobilevitv2_050": _model("mobilevitv2_050"),
    "mvitv2_tiny": _model("mvitv2_tiny", size=224),
    "nest_tiny": _model("nest_tiny", size=224),
    "nextvit_small": _model("nextvit_small"),
    "pit_ti_224": _model("pit_ti_224", size=224),
    "pvt_v2_b0": _model("pvt_v2_b0"),
    "rdnet_tiny": _model("rdnet_tiny"),
    "regnetx_002": _model("regnetx_002"),
    "regnety_002": _model("regnety_002"),
    "repghostnet_050": _model("repghostnet_050"),
    "repvit_m0_9": _model("repvit_m0_9"),
    "res2net50_14w_8s": _model("res2net50_14w_8s", layers=(1, 1, 1, 1)),
    "resnest14d": _model("resnest14d"),
    "resnet18": _model("resnet18"),
    "resnetv2_50": _model("resnetv2_50", layers=(1, 1, 1, 1)),
    "seresnet18": _model("legacy_seresnet18"),
    "rexnet_100": _model("rexnet_100", width_mult=0.5),
    "selecsls42b": _model("selecsls42b"),
    "sequencer2d_s": _model("sequencer2d_s", img_size=64, layers=(1, 1, 1, 1), embed_dims=(16, 32, 32, 32), hidden_sizes=(4, 8, 8, 8)),
    "shvit_s1": _model("shvit_s1"),
    "skresnet18": _model("skresnet18"),
    "starnet_s050": _model("starnet_s050"),
    "swiftformer_xs": _model("swiftformer_xs"),
    "swin_tiny_patch4_window7_224": _model("swin_tiny_patch4_window7_224", size=64, img_size=64, window_size=4, embed_dim=16, depths=(2, 2), num_heads=(1, 2)),
    "swinv2_cr_tiny_224": _model("swinv2_cr_tiny_224", size=64, img_size=64, embed_dim=16, depths=(2, 2), num_heads=(1, 2)),
    "swinv2_tiny_window8_256": _model("swinv2_tiny_window8_256", size=64, img_size=64, window_size=4, embed_dim=16, depths=(2, 2), num_heads=(1, 2)),
    "tiny_vit_5m_224": _model("tiny_vit_5m_224", size=224, depths=(1, 1, 1, 1)),
    "tnt_s_legacy_patch16_224": _model("tnt_s_legacy_patch16_224", img_size=64, depth=2),
    "tresnet_m": _model("tresnet_m"),
    "twins_svt_small": _model("twins_svt_small", size=224, depths=(1, 1, 1, 1)),
    "repvgg_a0": _model("repvgg_a0"),
    "visformer_tiny": _model("visformer_tiny", size=224, depth=(1, 1, 1)),
    "samvit_base_patch16": _model("samvit_base_patch16", img_size=64, depth=2, embed_dim=32, num_heads=2, global_attn_indexes=(1,), window_size=2),
    "vitamin_small_224": _model("vitamin_small_224", img_size=64),
    "volo_d1_224": _model("volo_d1_224", size=224),
    "vovnet39a": _model("ese_vovnet19b_slim_dw"),
    "xception41": _model("xception41"),
    "xcit_nano_12_p16_224": _model("xcit_nano_12_p16_224", img_size=64, depth=2),
}
