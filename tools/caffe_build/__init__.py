"""`make caffe`: builds a real Caffe, CPU only, to test what is written for it against."""
