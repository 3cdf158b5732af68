/* The library of `shared`. */
unsigned long library_add(unsigned long number);

unsigned long library_add(unsigned long number)
{
    return number + 1;
}
