"""Install protrek_nb: everything that can be configured stands in settings.ini."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
TOY = "protrek_nb.toy_data"  # the toy tables and the toy base model: a package without code, made of the folder `data`
config = ConfigParser(delimiters=["="])
config.read(root / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]

EXTRAS = dict(report=["report"], real=["report", "real"], structure=["structure"], export=["export"], scale=["scale"], dev=["report", "real", "export", "scale", "dev"])  # what is installed beyond what a model needs that is used

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(root / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    url=cfg["git_url"],
    license="MIT",
    keywords=cfg["keywords"],
    packages=[*find_packages(include=[cfg["lib_name"], f"{cfg['lib_name']}.*"]), TOY],
    package_dir={TOY: "data"},
    package_data={cfg["lib_name"]: ["py.typed"], TOY: ["toy_[!g]*.csv", "*.obo", "toy_base/*", "toy_base/*/*"]},
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg["requirements"].split(),
    extras_require={name: sum((cfg[f"{part}_requirements"].split() for part in parts), []) for name, parts in EXTRAS.items()},
    entry_points={"nbdev": [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"], "console_scripts": cfg["console_scripts"].split()},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: MIT License",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)),
    ],
    zip_safe=False,
)
