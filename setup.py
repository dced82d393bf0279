"""What goes into the wheel; all else is in pyproject.toml. Here, because only this can map Resources/ into the package."""

from setuptools import find_packages, setup

RESOURCES = [f"MultiRaterSegLib.Resources{part}" for part in ("", ".Models", ".SampleData")]

setup(
    packages=[*find_packages(include=["MultiRaterSegLib*"]), *RESOURCES],
    package_dir={RESOURCES[0]: "Resources"},
    package_data={"MultiRaterSegLib": ["**/*.toml"]} | {name: ["*.*"] for name in RESOURCES[1:]},
)
