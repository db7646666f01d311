import matplotlib as mpl
import numpy as np
import pytest

from tests.explanations import NAMES, make_explanation


class TestToShap:
    @pytest.fixture(autouse=True)
    def no_window(self):
        shown = mpl.get_backend()
        mpl.use("Agg")
        yield
        mpl.pyplot.close("all")
        mpl.use(shown)

    def test_numbers_and_names(self):
        explanation = make_explanation()
        converted = explanation.to_shap()
        np.testing.assert_array_equal(converted.values, explanation.values)
        np.testing.assert_array_equal(converted.base_values, explanation.base_values)
        np.testing.assert_array_equal(converted.data, explanation.player_data())
        assert converted.feature_names == list(NAMES)

    def test_shap_draws_it(self):
        import shap

        converted = make_explanation(n_samples=20).to_shap()
        for plot in (shap.plots.bar, shap.plots.beeswarm):
            axes = plot(converted, show=False)
            labels = {text.get_text() for text in axes.get_yticklabels()}
            assert set(NAMES) <= labels

    def test_output_is_chosen_by_shap_itself(self):
        explanation = make_explanation(outputs=("up", "down"))
        converted = explanation.to_shap()
        assert converted.output_names == ["up", "down"]
        np.testing.assert_array_equal(converted[..., 1].values, explanation[:, :, 1].values)
