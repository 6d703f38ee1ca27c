"""The Caffe backend: BVLC Caffe and NVIDIA's fork, prototxt and caffemodel out and in."""
