from hypothesis import given, settings, strategies as st, HealthCheck, Phase
from experiments.domain import text
from experiments.domain.patching import patch
from experiments.domain.patching.matching import same
from tests.domain.yaml_styles import written, edits, survivors
import os
S=settings(max_examples=int(os.environ.get("N","500")),deadline=None,phases=[Phase.generate],suppress_health_check=list(HealthCheck))
@S
@given(written())
def test_same(w):
    d,t,c=w
    p=patch(t,d); assert p.kept and p.text==t
@S
@given(written(),st.data())
def test_edit(w,data):
    d,t,c=w
    new=data.draw(edits(d))
    p=patch(t,new)
    assert same(text.read(p.text),new)
    assert p.kept
    lost=[(path,x) for path in survivors(d,new,c) for x in c[path] if x not in p.text]
    assert not lost, "\n".join([str(lost),t,"---- NEW %r"%new,p.text])
