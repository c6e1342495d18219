"""One label of a network of several, as a network of one neuron."""

from torch import Tensor, nn

from ..errors import NetworkError


class OneLabel(nn.Module):
    """What a network says of one label, ``(N,)`` of its ``(N, labels)``.

    Attributes:
        network: with an output for each label.
        index: of the label.
    """

    def __init__(self, network: nn.Module, index: int) -> None:
        super().__init__()
        self.network, self.index = network, index

    def forward(self, images: Tensor) -> Tensor:
        """The label's column.

        Raises:
            NetworkError: the network has no such label.
        """
        outputs: Tensor = self.network(images)
        try:
            return outputs[:, self.index]
        except IndexError as error:
            raise NetworkError(
                f"no label {self.index}: the network returned shape {tuple(outputs.shape)}, expected (N, labels)"
            ) from error
