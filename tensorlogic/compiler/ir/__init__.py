"""The typed IR: values in single static assignment, operations as data, regions for control flow."""
