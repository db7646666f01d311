import numpy as np

from sklexplain import make_players
from tests.explanations import NAMES, make_explanation


class TestReprHtml:
    def test_names_are_escaped(self):
        evil = "<script>alert('x')</script>"
        players = make_players({evil: [0], "&": [1]}, (4, 3), NAMES)
        html = make_explanation(players=players, method=evil)._repr_html_()
        assert "<script" not in html
        assert html.count("&lt;script&gt;") == 2
        assert "<td>&amp;</td>" in html

    def test_most_important_first(self):
        values = np.array([[0.5, -2.0, 1.0]])
        explanation = make_explanation(1, values=values, std_errors=None)
        html = explanation._repr_html_()
        assert html.index(">close<") < html.index(">volume<") < html.index(">open<")
        assert "width:100.0%" in html
        assert "width:25.0%" in html
        assert "mean |attribution|" in html

    def test_drop_in_the_score_may_be_negative(self):
        explanation = make_explanation(
            1, values=np.array([[0.5, -2.0, 1.0]]), std_errors=None, kind="importances"
        )
        assert ">-2<" in explanation._repr_html_()
        assert "drop in the score" in explanation._repr_html_()

    def test_several_outputs_and_zeros(self):
        assert "width:0.0%" in make_explanation(values=np.zeros((5, 3)))._repr_html_()
        assert ">open<" in make_explanation(outputs=("up", "down"))._repr_html_()
