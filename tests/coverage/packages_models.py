"""Models of packages that people fine-tune: their own classes, small, with random weights.

A package is imported when one of its models is built, so that those of the others need not be there.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path
from unittest import mock

import torch
from torch import nn

from example import Example

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "export"))
from stand_ins import stand_ins  # noqa: E402

# Imported for reading files; `soundfile` wants a C library.
UNUSED = ("torchvision", "torchaudio", "soundfile")


def _model(make, make_inputs, **options):
    """A model by `make()`, called with what `make_inputs(batch, length)` gives: a tuple of positional
    or a dict of keyword arguments."""

    def inputs(batch, length):
        made = make_inputs(batch, length)
        return ((), made) if isinstance(made, dict) else (made, {})

    def build():
        with stand_ins(*UNUSED):
            model = make()
        return Example(model, inputs, **options)

    return build


def _image(make, size=32, channels=3, **options):
    return _model(
        make, lambda b, n: (torch.randn(b, channels, size, size),), dynamic=(0,), **options
    )


def _ids(batch, length, low=3, high=30):
    return torch.randint(low, high, (batch, length))


# diffusers


def _unet_2d_condition():
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
    )


def _unet_2d():
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=16,
        layers_per_block=1,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        attention_head_dim=8,
    )


def _sd3():
    from diffusers import SD3Transformer2DModel

    return SD3Transformer2DModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        caption_projection_dim=16,
        pooled_projection_dim=16,
        pos_embed_max_size=8,
    )


def _flux():
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        axes_dims_rope=(4, 4, 8),
    )


def _flux_inputs(batch, length):
    places = torch.cartesian_prod(torch.zeros(1), torch.arange(4.0), torch.arange(4.0))
    return {
        "hidden_states": torch.randn(batch, 16, 4),
        "encoder_hidden_states": torch.randn(batch, length, 16),
        "pooled_projections": torch.randn(batch, 16),
        "timestep": torch.rand(batch),
        "img_ids": places,
        "txt_ids": torch.zeros(length, 3),
    }


def _vae():
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
    )


DIFFUSERS = {
    "diffusers_unet": _model(_unet_2d_condition, lambda b, n: {"sample": torch.randn(b, 4, 8, 8), "timestep": torch.randint(0, 1000, (b,)), "encoder_hidden_states": torch.randn(b, n, 16)}),
    "diffusers_unet_2d": _model(_unet_2d, lambda b, n: {"sample": torch.randn(b, 3, 16, 16), "timestep": torch.randint(0, 1000, (b,))}, dynamic=(0,)),
    "diffusers_sd3": _model(_sd3, lambda b, n: {"hidden_states": torch.randn(b, 4, 8, 8), "encoder_hidden_states": torch.randn(b, n, 16), "pooled_projections": torch.randn(b, 16), "timestep": torch.rand(b) * 1000}),
    "diffusers_flux": _model(_flux, _flux_inputs, shared=("img_ids", "txt_ids")),
    "diffusers_vae": _image(_vae, size=16),
}


# Speech and sound


def _whisper():
    from whisper.model import ModelDimensions, Whisper

    model = Whisper(ModelDimensions(16, 20, 32, 4, 2, 99, 32, 32, 4, 2))
    # A sparse tensor, which torch.export does not save, for the times of words.
    model.alignment_heads = model.alignment_heads.to_dense()
    nn.init.normal_(model.decoder.positional_embedding, std=0.1)  # left to the checkpoint
    return model


def _ecapa():
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    return ECAPA_TDNN(
        16,
        lin_neurons=16,
        channels=[16, 16, 16, 16, 48],
        attention_channels=8,
        se_channels=8,
        res2net_scale=4,
    )


def _speechbrain_asr(encoder, attention):
    def make():
        from speechbrain.lobes.models.transformer.TransformerASR import TransformerASR

        return TransformerASR(
            tgt_vocab=20,
            input_size=16,
            d_model=16,
            nhead=2,
            num_encoder_layers=2,
            num_decoder_layers=1,
            d_ffn=32,
            dropout=0.0,
            encoder_module=encoder,
            kernel_size=5,
            attention_type=attention,
            normalize_before=True,
            causal=False,
        )

    return make


def _crdnn():
    from speechbrain.lobes.models.CRDNN import CRDNN

    return CRDNN(
        input_size=16,
        cnn_channels=[4, 8],
        rnn_class=_speechbrain_lstm(),
        rnn_layers=2,
        rnn_neurons=8,
        dnn_neurons=16,
        dropout=0.0,
    )


def _speechbrain_lstm():
    from speechbrain.nnet.RNN import LSTM

    return LSTM


class _Autoencoder(nn.Module):
    """EnCodec's way of sound, without the codebooks between, which have no gradient."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, sound):
        return self.decoder(self.encoder(sound))


def _encodec():
    from encodec.modules import SEANetDecoder, SEANetEncoder

    # As the model of 48 kHz has it.
    options = dict(channels=2, n_filters=4, dimension=16, ratios=[4, 2], norm="time_group_norm", lstm=1)
    return _Autoencoder(SEANetEncoder(**options), SEANetDecoder(**options))


def _vocos():
    from vocos.models import VocosBackbone

    # The head after it asserts on numbers, which torch.export refuses.
    return VocosBackbone(16, 32, 48, 2)


def _conformer():
    from conformer import Conformer

    return Conformer(32, depth=2, dim_head=8, heads=4, conv_kernel_size=5)


SOUND = {
    "whisper": _model(_whisper, lambda b, n: (torch.randn(b, 16, 40), _ids(b, n)), dynamic=(0,)),
    "speechbrain_ecapa": _model(_ecapa, lambda b, n: (torch.randn(b, 20 + n, 16), torch.ones(b))),
    "speechbrain_transformer": _model(_speechbrain_asr("transformer", "regularMHA"), lambda b, n: (torch.randn(b, 20, 16), _ids(b, n, 1, 20))),
    "speechbrain_conformer": _model(_speechbrain_asr("conformer", "RelPosMHAXL"), lambda b, n: (torch.randn(b, 20, 16), _ids(b, n, 1, 20))),
    "speechbrain_crdnn": _model(_crdnn, lambda b, n: (torch.randn(b, 20 + n, 16),)),
    "encodec": _model(_encodec, lambda b, n: (torch.randn(b, 2, 320),), dynamic=(0,)),
    "vocos": _model(_vocos, lambda b, n: (torch.randn(b, 16, 2 * n),)),
    "conformer": _model(_conformer, lambda b, n: (torch.randn(b, n, 32),)),
}


# Images


def _open_clip():
    from open_clip.model import CLIP

    return CLIP(
        16,
        vision_cfg=dict(layers=2, width=32, head_width=8, patch_size=8, image_size=32),
        text_cfg=dict(context_length=10, vocab_size=99, width=32, heads=4, layers=2),
    )


def _open_clip_resnet():
    from open_clip.model import CLIP

    return CLIP(
        16,
        vision_cfg=dict(layers=(1, 1, 1, 1), width=8, head_width=16, image_size=64),
        text_cfg=dict(context_length=10, vocab_size=99, width=32, heads=4, layers=2),
    )


def _smp(name, encoder, **options):
    def make():
        import segmentation_models_pytorch as smp

        return getattr(smp, name)(encoder, encoder_weights=None, classes=2, **options)

    return make


def _efficientnet():
    from efficientnet_pytorch import EfficientNet

    small = {"width_coefficient": 0.3, "depth_coefficient": 0.2}
    # Without a fixed size of images its convolutions pad in their own forward.
    model = EfficientNet.from_name("efficientnet-b0", image_size=None, num_classes=10, **small)
    model.set_swish(memory_efficient=False)  # else it is a torch.autograd.Function
    return model


def _vit(name, **options):
    def make():
        import vit_pytorch

        return getattr(vit_pytorch, name)(
            image_size=32, patch_size=8, num_classes=10, dim=32, depth=2, heads=4, mlp_dim=48, **options
        )

    return make


def _sam():
    from segment_anything.modeling import ImageEncoderViT

    return ImageEncoderViT(
        img_size=64,
        patch_size=8,
        embed_dim=32,
        depth=2,
        num_heads=4,
        out_chans=16,
        use_rel_pos=True,
        window_size=3,
        global_attn_indexes=(1,),
    )


def _sam_decoder():
    from segment_anything.modeling import MaskDecoder, TwoWayTransformer

    transformer = TwoWayTransformer(depth=2, embedding_dim=32, num_heads=4, mlp_dim=48)
    return MaskDecoder(transformer_dim=32, transformer=transformer, iou_head_hidden_dim=32)


def _monai(name, **options):
    def make():
        from monai.networks import nets

        return getattr(nets, name)(**options)

    return make


def _nnunet():
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    return ResidualEncoderUNet(
        1, 3, [8, 16, 16], nn.Conv3d, 3, [1, 2, 2], [1, 1, 1], 2, [1, 1], True,
        nn.InstanceNorm3d, {"eps": 1e-5, "affine": True}, None, None, nn.LeakyReLU, {"inplace": True},
    )


def _esrgan():
    from spandrel.architectures.ESRGAN import ESRGAN

    return ESRGAN(num_filters=8, num_blocks=1, scale=2)


def _swinir():
    from spandrel.architectures.SwinIR import SwinIR

    return SwinIR(
        img_size=16,
        embed_dim=16,
        depths=[2],
        num_heads=[2],
        window_size=4,
        mlp_ratio=2,
        upscale=2,
        upsampler="pixelshuffledirect",
        drop_path_rate=0.0,
    )


def _perceiver():
    from perceiver_pytorch import Perceiver

    return Perceiver(
        num_freq_bands=2,
        depth=2,
        max_freq=4.0,
        num_latents=4,
        latent_dim=32,
        cross_dim_head=8,
        latent_heads=4,
        latent_dim_head=8,
        num_classes=10,
    )


def _facenet():
    from facenet_pytorch.models.mtcnn import ONet

    return ONet(pretrained=False)


IMAGES = {
    "open_clip": _model(_open_clip, lambda b, n: (torch.randn(b, 3, 32, 32), _ids(b, 10)), dynamic=(0,)),
    "open_clip_resnet": _model(_open_clip_resnet, lambda b, n: (torch.randn(b, 3, 64, 64), _ids(b, 10)), dynamic=(0,)),
    # PEFT cannot make factors of the class of its convolutions.
    "smp_unet": _image(_smp("Unet", "efficientnet-b0", encoder_depth=3, decoder_channels=(16, 8, 8)), not_adapted=r"^encoder\."),
    "smp_fpn": _image(_smp("FPN", "tu-test_resnet", decoder_pyramid_channels=32, decoder_segmentation_channels=32), size=64),
    "smp_deeplab": _image(_smp("DeepLabV3Plus", "timm-mobilenetv3_small_minimal_100", decoder_channels=16), size=64),
    "smp_segformer": _image(_smp("Segformer", "mit_b0", decoder_segmentation_channels=16), size=64),
    # Likewise.
    "efficientnet_pytorch": _image(_efficientnet, not_adapted="_se_"),
    "vit_pytorch": _image(_vit("ViT", dim_head=8)),
    "segment_anything": _image(_sam, size=64),
    "segment_anything_decoder": _model(_sam_decoder, lambda b, n: {"image_embeddings": torch.randn(1, 32, 8, 8), "image_pe": torch.randn(1, 32, 8, 8), "sparse_prompt_embeddings": torch.randn(b, n, 32), "dense_prompt_embeddings": torch.randn(b, 32, 8, 8), "multimask_output": True}, shared=("image_embeddings", "image_pe")),
    "monai_unet": _model(_monai("UNet", spatial_dims=3, in_channels=1, out_channels=2, channels=(4, 8, 16), strides=(2, 2), num_res_units=1), lambda b, n: (torch.randn(b, 1, 8, 8, 8),), dynamic=(0,)),
    "monai_swin_unetr": _image(_monai("SwinUNETR", in_channels=1, out_channels=2, feature_size=12, spatial_dims=2, depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 4), window_size=4), size=64, channels=1),
    "monai_unetr": _model(_monai("UNETR", in_channels=1, out_channels=2, img_size=32, feature_size=4, hidden_size=16, mlp_dim=32, num_heads=2, spatial_dims=2), lambda b, n: (torch.randn(b, 1, 32, 32),), dynamic=(0,)),
    # A layer without a bias and of two names: the file does not tell it from two that share a weight.
    "nnunet": _model(_nnunet, lambda b, n: (torch.randn(b, 1, 8, 8, 8),), dynamic=(0,), not_adapted=r"skip\.1\.conv$|seg_layers\.0"),
    "spandrel_esrgan": _image(_esrgan, size=16),
    "spandrel_swinir": _image(_swinir, size=16),
    "perceiver_pytorch": _model(_perceiver, lambda b, n: (torch.randn(b, 8, 8, 3),), dynamic=(0,)),
    "facenet_pytorch": _image(_facenet, size=48),
}


# Text, tables, series and graphs


class _Sentences(nn.Module):
    """The model itself adds what it computed to the features that it was given."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        return self.model(features)["sentence_embedding"]


def _sentence_transformers():
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    with tempfile.TemporaryDirectory() as folder:
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(94))]
        (Path(folder) / "vocab.txt").write_text("\n".join(words))
        BertTokenizer(str(Path(folder) / "vocab.txt")).save_pretrained(folder)
        config = BertConfig(
            vocab_size=99,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=48,
            max_position_embeddings=64,
        )
        BertModel(config).save_pretrained(folder)
        transformer = Transformer(folder)
    modules = [transformer, Pooling(32), Dense(32, 16), Normalize()]
    return _Sentences(SentenceTransformer(modules=modules, device="cpu"))


def _tokens(batch, length):
    return {"input_ids": _ids(batch, length), "attention_mask": torch.ones(batch, length, dtype=torch.int64)}


def _x_transformers():
    from x_transformers import Decoder, TransformerWrapper

    return TransformerWrapper(
        num_tokens=99,
        max_seq_len=32,
        attn_layers=Decoder(dim=32, depth=2, heads=4, attn_dim_head=8, rotary_pos_emb=True),
    )


def _mambapy():
    from mambapy.mamba import Mamba, MambaConfig

    # `pscan` is a torch.autograd.Function, for training on long sequences.
    return Mamba(MambaConfig(d_model=16, n_layers=2, d_state=4, pscan=False))


def _tabnet():
    from pytorch_tabnet.tab_network import TabNet

    return TabNet(8, 3, n_steps=2, group_attention_matrix=torch.eye(8))


def _ft_transformer():
    from rtdl_revisiting_models import FTTransformer

    return FTTransformer(
        n_cont_features=4,
        cat_cardinalities=[3, 5],
        d_out=2,
        n_blocks=2,
        d_block=16,
        attention_n_heads=4,
        attention_dropout=0.0,
        ffn_d_hidden_multiplier=4 / 3,
        ffn_dropout=0.0,
        residual_dropout=0.0,
    )


T5 = dict(d_model=32, d_kv=8, d_ff=48, num_layers=2, num_decoder_layers=2, num_heads=4, dropout_rate=0.0)
CHRONOS = dict(context_length=64, input_patch_size=8, input_patch_stride=8, quantiles=[0.1, 0.5, 0.9])


def _chronos_bolt():
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    model = ChronosBoltModelForForecasting(
        T5Config(
            **T5,
            use_cache=False,
            decoder_start_token_id=0,
            chronos_config=dict(**CHRONOS, prediction_length=4, use_reg_token=True),
        )
    )
    model.get_input_embeddings = lambda: model.shared  # PEFT asks for it
    return model


def _chronos_2():
    from chronos.chronos2 import Chronos2Model
    from chronos.chronos2.config import Chronos2CoreConfig

    own = {key: value for key, value in T5.items() if key != "num_decoder_layers"}
    return Chronos2Model(
        Chronos2CoreConfig(
            **own,
            chronos_config=dict(**CHRONOS, output_patch_size=8, use_reg_token=True, use_arcsinh=True),
        )
    )


def _timesfm():
    from timesfm.timesfm_2p5.timesfm_2p5_base import TimesFM_2p5_200M_Definition
    from timesfm.timesfm_2p5.timesfm_2p5_torch import TimesFM_2p5_200M_torch_module

    def small(block, **options):
        return dataclasses.replace(block, **options)

    whole = TimesFM_2p5_200M_Definition()
    stack = whole.stacked_transformers
    config = small(
        whole,
        input_patch_len=4,
        output_patch_len=8,
        output_quantile_len=8,
        tokenizer=small(whole.tokenizer, input_dims=8, hidden_dims=32, output_dims=32),
        stacked_transformers=small(
            stack,
            num_layers=2,
            transformer=small(stack.transformer, model_dims=32, hidden_dims=32, num_heads=4),
        ),
        output_projection_point=small(
            whole.output_projection_point, input_dims=32, hidden_dims=32, output_dims=80
        ),
        output_projection_quantiles=small(
            whole.output_projection_quantiles, input_dims=32, hidden_dims=32, output_dims=80
        ),
    )
    with mock.patch.object(TimesFM_2p5_200M_torch_module, "config", config):
        return TimesFM_2p5_200M_torch_module()


def _cfc():
    from ncps.torch import CfC

    return CfC(6, 16, proj_size=3, backbone_units=12, backbone_layers=1, backbone_dropout=0.0)


class _SpikingNet(nn.Module):
    """As in the tutorials of snnTorch: the same input at each of a few steps."""

    def __init__(self):
        import snntorch

        super().__init__()
        self.fc1, self.lif1 = nn.Linear(8, 12), snntorch.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(12, 3), snntorch.Leaky(beta=0.9)

    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        record = []
        for _ in range(3):
            spikes, mem1 = self.lif1(self.fc1(x), mem1)
            _, mem2 = self.lif2(self.fc2(spikes), mem2)
            record.append(mem2)
        return torch.stack(record, 1)


class _GraphIsomorphismNetwork(nn.Module):
    """Of nn.Linear, as in the tutorials of PyTorch Geometric: PEFT leaves its own Linear alone."""

    def __init__(self):
        from torch_geometric.nn import GINConv

        super().__init__()
        self.conv1 = GINConv(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16)), train_eps=True)
        self.conv2 = GINConv(nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16)))
        self.head = nn.Linear(16, 3)

    def forward(self, x, edge_index):
        return self.head(self.conv2(self.conv1(x, edge_index).relu(), edge_index).relu())


class _GraphTransformer(nn.Module):
    def __init__(self):
        from torch_geometric.nn import GINConv, GPSConv

        super().__init__()
        self.embed = nn.Linear(8, 16)
        self.convs = nn.ModuleList(
            GPSConv(16, GINConv(nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))), heads=2)
            for _ in range(2)
        )
        self.head = nn.Linear(16, 3)

    def forward(self, x, edge_index):
        x = self.embed(x)
        for conv in self.convs:
            x = conv(x, edge_index)
        return self.head(x)


def _graph_network(name, *channels, **options):
    def make():
        from torch_geometric import nn as geometric

        return getattr(geometric, name)(*channels, **options)

    return make


def _graph(batch, length):
    nodes = 4 * batch
    return torch.randn(nodes, 8), torch.randint(0, nodes, (2, 3 * length))


def _graph_model(name, **options):
    make = _graph_network(name, 8, 16, 2, 3, **options)
    return _model(make, _graph, shared=("edge_index",))


OTHERS = {
    "sentence_transformers": _model(_sentence_transformers, _tokens),
    "x_transformers": _model(_x_transformers, lambda b, n: (_ids(b, n),)),
    "mambapy": _model(_mambapy, lambda b, n: (torch.randn(b, 6, 16),), dynamic=(0,)),
    # Likewise.
    "pytorch_tabnet": _model(_tabnet, lambda b, n: (torch.randn(b, 8),), dynamic=(0,), loses_backward=True, not_adapted="shared_layers"),
    "rtdl_ft_transformer": _model(_ft_transformer, lambda b, n: (torch.randn(b, 4), torch.cat([_ids(b, 1, 0, 3), _ids(b, 1, 0, 5)], 1)), dynamic=(0,)),
    "chronos_bolt": _model(_chronos_bolt, lambda b, n: {"context": torch.randn(b, 32).cumsum(1)}, dynamic=(0,)),
    "chronos_2": _model(_chronos_2, lambda b, n: {"context": torch.randn(b, 32).cumsum(1)}, dynamic=(0,)),
    "timesfm": _model(_timesfm, lambda b, n: (torch.randn(b, n, 4), torch.zeros(b, n, 4, dtype=torch.bool)), dynamic=(0,)),
    "ncps_cfc": _model(_cfc, lambda b, n: (torch.randn(b, 5, 6),), dynamic=(0,)),
    "snntorch": _model(_SpikingNet, lambda b, n: (2 * torch.randn(b, 8),), dynamic=(0,), loses_backward=True),
    "torch_geometric_gcn": _graph_model("GCN"),
    "torch_geometric_gat": _graph_model("GAT", heads=2),
    "torch_geometric_sage": _graph_model("GraphSAGE"),
    "torch_geometric_gin": _model(_GraphIsomorphismNetwork, _graph, shared=("edge_index",)),
    # GPSConv asks for the class of its attention, which PEFT's layer is not of.
    "torch_geometric_gps": _model(_GraphTransformer, _graph, not_adapted="attn$", shared=("edge_index",)),
}

MODELS = {**DIFFUSERS, **SOUND, **IMAGES, **OTHERS}
