"""EM, diagonal covariance, 1,000,000 x 8, 32 components, 50 iterations, beside scikit-learn.

python bench/em_diagonal.py --threads 1
"""

from __future__ import annotations

from gaussian_em import Task, main

if __name__ == "__main__":
    main(Task(1_000_000, 8, 32, "diagonal"), __file__)
