"""LA-Net and discriminative dynamics learning (chapter 12)."""
