"""The text's figures, one module each, and two experiments that it describes without one."""
