"""The ablation: rows of a table, their trainings, one evaluation of all of them, and what it says."""
