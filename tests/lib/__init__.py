# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scenarios of the emulated host are written with."""
