"""Where cases come from: trees of DICOM, folders of classes, and the public collections of the paper."""
