return import('fs')
