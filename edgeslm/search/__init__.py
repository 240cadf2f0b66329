"""The choice: which precision each tensor gets under the limits of a device, found, built and measured."""
