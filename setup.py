"""Distribution navsim-drive-jepa. Neither NAVSIM devkit is on a registry, so neither is a requirement: see README."""

from pathlib import Path

from setuptools import find_namespace_packages, find_packages, setup

PACKAGES = ["navsim_agents", "navsim_configs", "cache_tools", "training"]

# The driving world writes nuPlan's geopackages; reports draw with matplotlib.
WORLD = ["geopandas>=0.12.1", "pyogrio", "shapely>=2.0"]
REPORT = ["matplotlib>=3.5"]
LABELS = ["scikit-learn>=1.0"]  # k-means; kmeans=faiss needs faiss besides, which is not asked for
# Driving videos are decoded by PyAV, whose wheels bring FFmpeg along.
VIDEO = ["av>=15"]
TEST = [
    "pytest>=7",
    "hypothesis",
    *LABELS,
    "opencv-python-headless>=4.9",
    "scipy",
    "beartype",
    "ruff>=0.6",
    "mypy>=1.5",
    "build",
    "setuptools>=64",  # wheels and editable installs are made without a network
    "wheel",
]

setup(
    name="navsim-drive-jepa",
    version="0.1.0",
    description="Drive-JEPA for the unmodified NAVSIM devkits: video encoder, planners, scorer and a built-in world",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.9",
    # The namespace itself is listed too: in an editable install Hydra's scan finds nothing in one that is not.
    packages=[name for root in PACKAGES for name in [root, *(f"{root}.{sub}" for sub in find_packages(root))]]
    + find_namespace_packages(include=["hydra_plugins", "hydra_plugins.*"]),
    package_data={"": ["*.yaml", "py.typed", "*.json"]},
    install_requires=[
        "torch>=2.0.1",
        "numpy>=1.23.4",
        "pandas",
        "hydra-core>=1.2",
        "pytorch-lightning>=2.2",
        "timm>=0.9",
        "pillow",
        "tqdm",
        "jaxtyping>=0.2.20",
    ],
    extras_require={
        "world": WORLD,
        "report": REPORT,
        "labels": LABELS,
        "video": VIDEO,
        "test": TEST + VIDEO,
        "demo": WORLD + REPORT + LABELS + VIDEO,
    },
)
