// Carries the precompiled header that the LibTorch-using libraries share.
