"""Learning from the samples of one batch side by side, each on a thread of its own.

With one small sample at a time, several threads inside each operator gain a third on two cores, and lose all of it where another program
wants one of them: each operator then waits for the slowest. Threads that meet once a batch gain nearly their number.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import torch
from torch import Tensor, nn


class SideBySide:
    """Replicas of a network, one for each thread, whose gradients are added up in its own.

    Only for networks in which no layer looks across samples: batch norm must be frozen.

    Args:
        network: that is trained.
        loss: of logits (N, K, *S) and targets (N, ...).
        count: of threads.

    Example:
        >>> import torch
        >>> from ultralightunet.learning.side_by_side import SideBySide
        >>> network = torch.nn.Conv2d(1, 2, 1)
        >>> together = SideBySide(network, torch.nn.functional.cross_entropy, count=2)
        >>> mean = together.gradients(torch.rand(4, 1, 8, 8), torch.zeros(4, 8, 8, dtype=torch.long))
        >>> network.weight.grad.shape
        torch.Size([2, 1, 1, 1])
    """

    def __init__(self, network: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], count: int) -> None:
        self.loss = loss
        self.replicas = [network, *(deepcopy(network) for _ in range(count - 1))]
        inside = max(1, torch.get_num_threads() // count)
        self._pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(inside,)) if count > 1 else None

    def gradients(self, images: Tensor, targets: Tensor) -> float:
        """Leave in the network the gradients of the mean of the samples' losses, and return that mean."""
        network, *others = self.replicas
        with torch.no_grad():
            for replica in others:
                for own, value in zip(replica.parameters(), network.parameters(), strict=True):
                    own.copy_(value)
        for replica in self.replicas:
            replica.zero_grad(set_to_none=True)

        def learn(number: int) -> float:
            total = 0.0
            for sample in range(number, len(images), len(self.replicas)):
                value = self.loss(self.replicas[number](images[sample : sample + 1]), targets[sample : sample + 1]) / len(images)
                value.backward()
                total += float(value.detach())
            return total

        numbers = range(len(self.replicas))
        total = sum(self._pool.map(learn, numbers) if self._pool else map(learn, numbers))
        for replica in others:
            for value, own in zip(network.parameters(), replica.parameters(), strict=True):
                if own.grad is not None:
                    value.grad = own.grad if value.grad is None else value.grad.add_(own.grad)
        return total
