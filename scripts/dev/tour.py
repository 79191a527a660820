# SPDX-License-Identifier: LGPL-2.1-or-later
def make_stack(a,b): pass
