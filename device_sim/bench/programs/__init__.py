"""Programs of fresh processes; `device_sim.bench.whole_process` starts them by path and reads what they print."""
