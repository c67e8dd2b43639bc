"""Data sets: what was read, how it is split, and in which order it is served.

_dataset       what a data set is: three splits and where they come from
_catalogue     DATASETS, and load(choice): a data set with its subset taken
_splitting     who goes to training, validation and test; which examples a subset keeps
_arrays        a caller's own arrays
_text          documents to windows of tokens
_images        image files to one array
_tokenizing    characters or byte-pair encoding
_words, _word_pairs   words as numbers, with their neighbours and what they are told from
phrases, huffman      pairs of words that are one; Huffman's tree
order          the data order as a pure function of (seed, epoch, position)
_pairs         pairs of texts for sequence-to-sequence tasks, one vocabulary
_generation    images to learn to sample from, alone, with their class, or beside ones of another domain
_labels_kept   few labels of a training split, and unlabelled examples beside them
_locales       babel's locales by code
hugging_face   rows of Hugging Face's datasets: images, texts, pairs (_rows, _row_images, _row_pairs)
tiles          a folder of images and pixel labels, cut into overlapping tiles
digits_on_photographs   a segmentation task composed of real images
patches        square pieces of two photographs, for generation (_photographs)
striped_digits two domains of digits without pairs, and the true translation
shapes         two coloured shapes with captions (_scenes draws them, _reading_scenes reads them back)
requests       prompts, answers of known worth, stories, for alignment (_request_grammar)
rankings       rankings by somebody who errs on a known share of the pairs
comparison_files, drawn_comparisons   what was preferred, for reward models and DPO (_comparing)
_reading_numbers      reads the pictures of number_captions
digits, rotated_digits, diabetes, boolean, family_trees, python_docs, python_words, folder, names, dates,
reber          the catalogue

It must not know what is trained on the data, nor keep any position in it.
See it work: ``python -m sevenfold.data``.
"""

from sevenfold.data._arrays import ArrayData, arrays
from sevenfold.data._catalogue import DATASETS, DatasetEntry, check_choice, load
from sevenfold.data._dataset import Dataset, Inputs, Provenance, Split, moved, parts_of
from sevenfold.data._labels_kept import labelled_of
from sevenfold.data._words import Vocabulary, WordStream
from sevenfold.data.folder import pinned
from sevenfold.data.phrases import Phrases

__all__ = [
    "DATASETS",
    "ArrayData",
    "Dataset",
    "DatasetEntry",
    "Inputs",
    "Phrases",
    "Provenance",
    "Split",
    "Vocabulary",
    "WordStream",
    "arrays",
    "labelled_of",
    "check_choice",
    "load",
    "moved",
    "parts_of",
    "pinned",
]
