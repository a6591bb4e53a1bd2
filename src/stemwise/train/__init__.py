"""Training: one configuration, one visible loop, a state that resumes the same run."""
