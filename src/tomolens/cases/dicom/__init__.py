"""DICOM: headers, trees, series and pixels."""
