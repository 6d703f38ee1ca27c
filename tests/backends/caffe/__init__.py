"""Tests of the Caffe backend."""
