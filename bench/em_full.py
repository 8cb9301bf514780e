"""EM, full covariance, 200,000 x 16, 16 components, 50 iterations, beside scikit-learn.

python bench/em_full.py --threads 1
"""

from __future__ import annotations

from gaussian_em import Task, main

if __name__ == "__main__":
    main(Task(200_000, 16, 16, "full"), __file__)
