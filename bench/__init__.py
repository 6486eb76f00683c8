"""Measures natnetd beside its alternatives, in the same run; `make bench` prints one page.

Everything happens in throw-away namespaces. A topic is a small file with a function `rows`; what counts is
the ratio, since both sides were measured on the same machine in the same minute.
"""
