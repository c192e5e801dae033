"""For each exercise, right answers written differently: what a check must not turn away."""
