"""Small packages of somebody else's, laid into a folder as an installer leaves them there."""

from textwrap import dedent

ESTIMATOR = '''
"""Nearest rows by one column: an estimator of this package's own, and its family."""

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from baton.models import Explain
from baton.models.scikit import Scikit
from baton.models.space import Int
from baton.terms import Kind


class Nearest(BaseEstimator):
    def __init__(self, n=3):
        self.n = n

    def fit(self, X, y, sample_weight=None):
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        is_class = isinstance(self, ClassifierMixin)
        made = KNeighborsClassifier if is_class else KNeighborsRegressor
        self.inner_ = made(self.n, algorithm="brute").fit(X, y)
        if is_class:
            self.classes_ = self.inner_.classes_
        return self

    def predict(self, X):
        return self.inner_.predict(X)


class NearestClassifier(ClassifierMixin, Nearest):
    def predict_proba(self, X):
        return self.inner_.predict_proba(X)


class NearestRegressor(RegressorMixin, Nearest):
    pass


class NearestRows(Scikit):
    """Answers by rows that are near."""

    explain = Explain.ANY
    trusted = (f"{__name__}.NearestClassifier", f"{__name__}.NearestRegressor")

    def estimator(self, kind):
        return NearestClassifier if kind is Kind.CLASSIFICATION else NearestRegressor

    def space(self, kind):
        return {"n": Int(1, 9)}


family = NearestRows()
'''
"""A family with a type of its own in its files."""


def lay(site, package, code=ESTIMATOR, version="1.0", **groups):
    """Put a package into a folder, with entry points such as ``models={"near": "pkg:family"}``."""
    module = package.replace("-", "_")
    (site / module).mkdir(parents=True, exist_ok=True)
    (site / module / "__init__.py").write_text(dedent(code), "utf-8")
    about = site / f"{module}-{version}.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    lines = []
    for group, points in groups.items():
        lines += [f"[baton.{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (about / "entry_points.txt").write_text("\n".join(lines))
    return module
