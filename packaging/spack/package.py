from spack.package import *
from spack_repo.builtin.build_systems.python import PythonPackage


class PyGrapesTorch(PythonPackage):
    """GRAPES for PyTorch: the error at each unit scaled by the unit's responsibility."""

    # For Spack's own repository: homepage, git and url of the published source, and the version with its sha256.
    maintainers = []

    license("Apache-2.0")

    version("develop")

    import_modules = ["torch_grapes", "torch_grapes.comparing", "torch_grapes.reference"]
    build_directory = "python"

    depends_on("python@3.9:", type=("build", "run"))
    depends_on("py-setuptools@77:", type="build")
    depends_on("py-torch@1.13:", type=("build", "run"))
