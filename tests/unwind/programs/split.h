/* Between the files of `split`. */
void split(int number);
