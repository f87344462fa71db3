@kubectl-workqueue __complete %*
