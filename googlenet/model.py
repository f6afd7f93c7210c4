"""The GoogLeNet module, from the input to the classifier.

Shapes are N C H W for a 224×224 image. Source: Szegedy et al. 2014 (arXiv:1409.4842), Table 1.
"""

import torch
from torch import Tensor, nn

from googlenet.blocks import ConvUnit, Inception, stem
from googlenet.config import INCEPTION_WIDTHS, GoogLeNetConfig
from googlenet.heads import AuxHead, GoogLeNetOutput
from googlenet.images import check_images

torch.fx.wrap("check_images")  # keeps the check as one call: torch.fx traces without shapes


class GoogLeNet(nn.Module):
    """GoogLeNet; returns logits, or in training with auxiliary heads a ``GoogLeNetOutput``.

    The input is floating-point N × in_channels × H × W, with H and W at least
    ``config.min_image_size``; anything else raises ``ValueError``. Under ``torch.jit.script`` the
    input is not checked, and the output tuple has the same fields but another class.
    """

    def __init__(self, config: GoogLeNetConfig | None = None) -> None:
        super().__init__()
        config = config or GoogLeNetConfig()
        self.config = config
        # Copies, because TorchScript cannot read a dataclass.
        self.in_channels = config.in_channels
        self.min_image_size = config.min_image_size

        self.conv1 = stem(config.in_channels, 64, config)
        self.pool1 = _max_pool(3)
        self.lrn1 = _response_norm(config)
        self.conv2 = nn.Sequential(
            ConvUnit(64, 64, config), ConvUnit(64, 192, config, kernel_size=3)
        )
        self.lrn2 = _response_norm(config)
        self.pool2 = _max_pool(3)

        self.inception3a = Inception(192, INCEPTION_WIDTHS["3a"], config)
        self.inception3b = Inception(256, INCEPTION_WIDTHS["3b"], config)
        self.pool3 = _max_pool(3)

        self.inception4a = Inception(480, INCEPTION_WIDTHS["4a"], config)
        self.inception4b = Inception(512, INCEPTION_WIDTHS["4b"], config)
        self.inception4c = Inception(512, INCEPTION_WIDTHS["4c"], config)
        self.inception4d = Inception(512, INCEPTION_WIDTHS["4d"], config)
        self.inception4e = Inception(528, INCEPTION_WIDTHS["4e"], config)
        self.pool4 = _max_pool(config.last_pool_kernel)

        self.inception5a = Inception(832, INCEPTION_WIDTHS["5a"], config)
        self.inception5b = Inception(832, INCEPTION_WIDTHS["5b"], config)

        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Linear(1024, config.num_classes)

        has_heads = config.aux_pool is not None
        self.aux1 = AuxHead(512, config) if has_heads else None
        self.aux2 = AuxHead(528, config) if has_heads else None
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutput:
        check_images(x, self.in_channels, self.min_image_size)
        x = self.conv1(x)  # N 64 112 112
        x = self.lrn1(self.pool1(x))  # N 64 56 56
        x = self.lrn2(self.conv2(x))  # N 192 56 56
        x = self.pool2(x)  # N 192 28 28

        x = self.inception3a(x)  # N 256 28 28
        x = self.inception3b(x)  # N 480 28 28
        x = self.pool3(x)  # N 480 14 14

        x = self.inception4a(x)  # N 512 14 14
        aux1 = self.aux1(x) if self.aux1 is not None and self.training else None
        x = self.inception4b(x)
        x = self.inception4c(x)
        x = self.inception4d(x)  # N 528 14 14
        aux2 = self.aux2(x) if self.aux2 is not None and self.training else None
        x = self.inception4e(x)  # N 832 14 14
        x = self.pool4(x)  # N 832 7 7

        x = self.inception5a(x)
        x = self.inception5b(x)  # N 1024 7 7

        x = self.avgpool(x).flatten(start_dim=1)  # N 1024
        logits: Tensor = self.fc(self.dropout(x))  # N num_classes
        if aux1 is None or aux2 is None:
            return logits
        return GoogLeNetOutput(logits, aux1, aux2)


def _max_pool(kernel_size: int) -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel_size, stride=2, ceil_mode=True)


def _response_norm(config: GoogLeNetConfig) -> nn.Module:
    """Return the local response norm with Caffe's bvlc_googlenet constants, or an identity."""
    if config.norm == "lrn":
        return nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=1.0)
    return nn.Identity()


def _initialise(model: nn.Module) -> None:
    """Initialise convolutions as in He et al. 2015 (arXiv:1502.01852).

    Signals keep their scale even without batch norm.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
