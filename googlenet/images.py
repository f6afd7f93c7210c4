"""What a network takes: said in a sentence, before a convolution says it in code."""

from torch import Tensor


def check_images(images: Tensor, channels: int, least: int) -> None:
    """Raise ``ValueError`` for anything but floating N × channels × H × W of ``least`` pixels."""
    shape = tuple(images.shape)
    if images.dim() != 4:
        raise ValueError(
            f"expected a batch of images, N × {channels} × H × W; got {images.dim()} dimensions "
            f"of shape {shape}"
        )
    if images.shape[1] != channels:
        raise ValueError(
            f"expected {channels} input channels; got {images.shape[1]} in shape {shape}"
        )
    if images.shape[2] < least or images.shape[3] < least:
        raise ValueError(
            f"images must be at least {least}×{least} pixels for every pooling to leave one; "
            f"got {images.shape[2]}×{images.shape[3]}"
        )
    if not images.is_floating_point():
        raise ValueError(
            f"expected images of floating point; got {images.dtype}, which images.float() converts"
        )
