"""How LabFail's runs are made: base models, data sets, causes, and the trainings themselves."""
