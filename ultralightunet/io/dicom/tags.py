"""The elements of DICOM files that are read here, and which files are no images."""

from __future__ import annotations

import re

TAGS: dict[str, tuple[int, str]] = {
    "MediaStorageSOPClassUID": (0x0002_0002, "UI"),
    "TransferSyntaxUID": (0x0002_0010, "UI"),
    "ImageType": (0x0008_0008, "CS"),
    "SOPClassUID": (0x0008_0016, "UI"),
    "SOPInstanceUID": (0x0008_0018, "UI"),
    "AcquisitionDateTime": (0x0008_002A, "DT"),
    "AcquisitionTime": (0x0008_0032, "TM"),
    "ContentTime": (0x0008_0033, "TM"),
    "Modality": (0x0008_0060, "CS"),
    "SeriesDescription": (0x0008_103E, "LO"),
    "ComplexImageComponent": (0x0008_9208, "CS"),
    "PatientID": (0x0010_0020, "LO"),
    "SequenceName": (0x0018_0024, "SH"),
    "SliceThickness": (0x0018_0050, "DS"),
    "KVP": (0x0018_0060, "DS"),
    "EchoTime": (0x0018_0081, "DS"),
    "InversionTime": (0x0018_0082, "DS"),
    "EchoNumbers": (0x0018_0086, "IS"),
    "SpacingBetweenSlices": (0x0018_0088, "DS"),
    "TriggerTime": (0x0018_1060, "DS"),
    "FrameTime": (0x0018_1063, "DS"),
    "FrameTimeVector": (0x0018_1065, "DS"),
    "EstimatedRadiographicMagnificationFactor": (0x0018_1114, "DS"),
    "ImagerPixelSpacing": (0x0018_1164, "DS"),
    "ConvolutionKernel": (0x0018_1210, "SH"),
    "FlipAngle": (0x0018_1314, "DS"),
    "NominalScannedPixelSpacing": (0x0018_2010, "DS"),
    "SequenceOfUltrasoundRegions": (0x0018_6011, "SQ"),
    "RegionSpatialFormat": (0x0018_6012, "US"),
    "PhysicalUnitsXDirection": (0x0018_6024, "US"),
    "PhysicalUnitsYDirection": (0x0018_6026, "US"),
    "PhysicalDeltaX": (0x0018_602C, "FD"),
    "PhysicalDeltaY": (0x0018_602E, "FD"),
    "FrameAcquisitionDateTime": (0x0018_9074, "DT"),
    "DiffusionGradientDirectionSequence": (0x0018_9076, "SQ"),
    "EffectiveEchoTime": (0x0018_9082, "FD"),
    "DiffusionBValue": (0x0018_9087, "FD"),
    "DiffusionGradientOrientation": (0x0018_9089, "FD"),
    "MREchoSequence": (0x0018_9114, "SQ"),
    "MRDiffusionSequence": (0x0018_9117, "SQ"),
    "FramePixelDataPropertiesSequence": (0x0018_9443, "SQ"),
    "SiemensBValue": (0x0019_100C, "IS"),
    "SiemensGradientDirection": (0x0019_100E, "FD"),
    "StudyInstanceUID": (0x0020_000D, "UI"),
    "SeriesInstanceUID": (0x0020_000E, "UI"),
    "AcquisitionNumber": (0x0020_0012, "IS"),
    "InstanceNumber": (0x0020_0013, "IS"),
    "ImagePositionPatient": (0x0020_0032, "DS"),
    "ImageOrientationPatient": (0x0020_0037, "DS"),
    "FrameOfReferenceUID": (0x0020_0052, "UI"),
    "TemporalPositionIdentifier": (0x0020_0100, "IS"),
    "StackID": (0x0020_9056, "SH"),
    "FrameContentSequence": (0x0020_9111, "SQ"),
    "PlanePositionSequence": (0x0020_9113, "SQ"),
    "PlaneOrientationSequence": (0x0020_9116, "SQ"),
    "TemporalPositionIndex": (0x0020_9128, "UL"),
    "DimensionIndexValues": (0x0020_9157, "UL"),
    "NominalPercentageOfCardiacPhase": (0x0020_9241, "FL"),
    "SamplesPerPixel": (0x0028_0002, "US"),
    "PhotometricInterpretation": (0x0028_0004, "CS"),
    "PlanarConfiguration": (0x0028_0006, "US"),
    "NumberOfFrames": (0x0028_0008, "IS"),
    "FrameIncrementPointer": (0x0028_0009, "AT"),
    "Rows": (0x0028_0010, "US"),
    "Columns": (0x0028_0011, "US"),
    "PixelSpacing": (0x0028_0030, "DS"),
    "BitsAllocated": (0x0028_0100, "US"),
    "BitsStored": (0x0028_0101, "US"),
    "HighBit": (0x0028_0102, "US"),
    "PixelRepresentation": (0x0028_0103, "US"),
    "PixelSpacingCalibrationType": (0x0028_0A02, "CS"),
    "RescaleIntercept": (0x0028_1052, "DS"),
    "RescaleSlope": (0x0028_1053, "DS"),
    "RedPaletteColorLookupTableDescriptor": (0x0028_1101, "US"),
    "GreenPaletteColorLookupTableDescriptor": (0x0028_1102, "US"),
    "BluePaletteColorLookupTableDescriptor": (0x0028_1103, "US"),
    "RedPaletteColorLookupTableData": (0x0028_1201, "OW"),
    "GreenPaletteColorLookupTableData": (0x0028_1202, "OW"),
    "BluePaletteColorLookupTableData": (0x0028_1203, "OW"),
    "ModalityLUTSequence": (0x0028_3000, "SQ"),
    "LUTDescriptor": (0x0028_3002, "US"),
    "LUTData": (0x0028_3006, "OW"),
    "PixelMeasuresSequence": (0x0028_9110, "SQ"),
    "PixelValueTransformationSequence": (0x0028_9145, "SQ"),
    "ImagePlanePixelSpacing": (0x3002_0011, "DS"),
    "GEBValue": (0x0043_1039, "IS"),
    "PhilipsBValue": (0x2001_1003, "FL"),
    "SharedFunctionalGroupsSequence": (0x5200_9229, "SQ"),
    "PerFrameFunctionalGroupsSequence": (0x5200_9230, "SQ"),
    "ExtendedOffsetTable": (0x7FE0_0001, "OV"),
    "FloatPixelData": (0x7FE0_0008, "OF"),
    "DoubleFloatPixelData": (0x7FE0_0009, "OD"),
    "PixelData": (0x7FE0_0010, "OW"),
}
"""Tag and value representation by keyword; every other element is passed over."""

NAMES = {tag: name for name, (tag, _) in TAGS.items()}

PLAIN = {"", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
"""Transfer syntaxes in which pixels are not compressed; in the fourth they lie in fragments all the same."""
RUN_LENGTHS = "1.2.840.10008.1.2.5"
JPEG = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81)}
"""And JPEG-LS."""
JPEG_2000 = {f"1.2.840.10008.1.2.4.{n}" for n in (90, 91)}

_STORAGE = "1.2.840.10008.5.1.4.1.1."

WHOLE_SLIDE = _STORAGE + "77.1.6"
"""Microscopy, whose frames are tiles of one picture."""

_OTHERS = (
    (r"1\.2\.840\.10008\.1\.3\.10", "a directory (DICOMDIR)"),
    (r"66\.[1-3]", "a registration"),
    (r"66\.[4-9]", "a segmentation"),
    (r"66", "raw data"),
    (r"67", "a mapping to real-world values"),
    (r"4\.2", "a spectrum"),
    (r"11\..*", "a presentation state"),
    (r"88\.59", "a selection of key objects"),
    (r"88\..*", "a report"),
    (r"9(\..*)?", "a curve or waveform"),
    (r"(8|10|11|129)", "an overlay, curve or table"),
    (r"68\..*", "a surface"),
    (r"(78|79|80)\..*", "an eye's measurements"),
    (r"(90|131|200|201)(\..*)?", "a protocol or assessment"),
    (r"104\..*", "an enclosed document"),
    (r"481\.2", "a radiation dose"),
    (r"481\.3", "a radiotherapy structure set"),
    (r"481\.(?!(1|23|24)$).*", "a radiotherapy plan or record"),
    (r"1\.2\.840\.10008\.5\.1\.4\.(34|38|39|43|44|45)\..*", "a plan or protocol"),
)
"""Patterns of SOP Class UIDs, those of storage without what they have in common, and what such a file is."""


def other_than_image(sop_class: str) -> str:
    """What a file of this SOP class is, e.g. "a report", if it is no image and lies beside images by custom; else ""."""
    tail = sop_class.removeprefix(_STORAGE)
    return next((what for pattern, what in _OTHERS if re.fullmatch(pattern, tail)), "")
