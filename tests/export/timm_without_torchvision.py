"""timm, imported without torchvision, which it imports for reading images; no model needs it:

    from timm_without_torchvision import timm
"""

from stand_ins import stand_ins

with stand_ins("torchvision"):
    import timm  # noqa: F401
